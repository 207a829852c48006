"""schemathesis over the server's OpenAPI document: no response is a 5xx, and all match the document."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.conftest import FinishedRun, finish_a_run
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.slow

EXAMPLES = 12
SEED = 4
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Other operations come first: a run locks its thread, and deleted objects are missing from later operations.
RUN_LATE = {
    "POST /v1/threads/{thread_id}/runs": 1,
    "DELETE /v1/threads/{thread_id}/messages/{message_id}": 2,
    "DELETE /v1/threads/{thread_id}": 3,
    "DELETE /v1/assistants/{assistant_id}": 4,
}


async def test_responses_match_openapi_document(own_holdfast: RunningHoldfast) -> None:
    await own_holdfast.start_worker()
    known = await finish_a_run(own_holdfast)
    # Runs that are created from here on stay queued.
    await own_holdfast.stop_worker()
    async with httpx.AsyncClient(base_url=own_holdfast.url) as http:
        document = with_known_ids((await http.get("/openapi.json")).json(), known)

    await asyncio.to_thread(fuzz, document, own_holdfast.url)


def with_known_ids(document: dict[str, Any], known: FinishedRun) -> dict[str, Any]:
    """The document with existing ids as examples, and one unknown id of each kind."""
    ids = vars(known) | {"model": SCRIPTED_MODEL}
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    name = ids[parameter["name"]]
                    parameter["schema"] = {"enum": [name, f"{name}x"]}
    for schema in document["components"]["schemas"].values():
        if "assistant_id" in schema.get("required", []) and schema.get("additionalProperties") is False:
            schema["properties"]["assistant_id"] = {"enum": [known.assistant_id]}
    return document


def fuzz(document: dict[str, Any], url: str) -> None:
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) == sum(map(len, document["paths"].values()))
    for operation in sorted(operations, key=lambda operation: RUN_LATE.get(operation.label, 0)):
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue
            check(operation.as_strategy(generation_mode=mode), url)()


def check(cases: Any, url: str) -> Callable[[], None]:
    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def answers_as_documented(case: Case[Any]) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    return answers_as_documented
