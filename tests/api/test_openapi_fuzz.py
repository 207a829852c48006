"""schemathesis over the server's OpenAPI document: no response is a 5xx, and all match the document."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from requests import PreparedRequest, Session
from requests.auth import AuthBase
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
from tests.conftest import NewDatabase, settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = [pytest.mark.slow, pytest.mark.any_database]

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


@pytest.mark.timeout(300)
async def test_responses_match_openapi_document(
    temporal_port: int, provider: ScriptedProvider, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """On both databases at once: generating the requests takes twice as long as sending them."""
    async with (
        fuzzed(tmp_path / "sqlite", temporal_port, provider, "") as (sqlite, known),
        fuzzed(tmp_path / "postgres", temporal_port, provider, new_postgres_database()) as (postgres, same),
    ):
        async with httpx.AsyncClient(base_url=sqlite.url) as http:
            document = with_known_ids((await http.get("/openapi.json")).json(), known)
        first, second = session(), session()
        second.auth = OtherIds(known, same)

        await asyncio.to_thread(fuzz, document, {sqlite.url: first, postgres.url: second})


@asynccontextmanager
async def fuzzed(
    folder: Path, temporal_port: int, provider: ScriptedProvider, database_url: str
) -> AsyncIterator[tuple[RunningHoldfast, FinishedRun]]:
    """A server with a finished run. Runs that are created from here on stay queued."""
    folder.mkdir()
    async with running_holdfast(settings_for(folder, temporal_port, provider, database_url)) as holdfast:
        known = await finish_a_run(holdfast)
        await holdfast.stop_worker()
        yield holdfast, known


class OtherIds(AuthBase):
    """Names another server's objects in requests to it: its ids are as long as those of `known`."""

    def __init__(self, known: FinishedRun, there: FinishedRun) -> None:
        self._ids = list(zip(vars(known).values(), vars(there).values(), strict=True))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        for known, there in self._ids:
            assert request.url is not None
            request.url = request.url.replace(known, there)
            if isinstance(request.body, bytes):
                request.body = request.body.replace(known.encode(), there.encode())
        return request


def session() -> Session:
    made = Session()
    # The machine's proxies are asked for at each request.
    made.trust_env = False
    return made


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


def fuzz(document: dict[str, Any], servers: Mapping[str, Session]) -> None:
    """Send each request to all servers, which are sessions by URL."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) == sum(map(len, document["paths"].values()))
    for operation in sorted(operations, key=lambda operation: RUN_LATE.get(operation.label, 0)):
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                continue
            check(operation.as_strategy(generation_mode=mode), servers)()


def check(cases: Any, servers: Mapping[str, Session]) -> Callable[[], None]:
    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def answers_as_documented(case: Case[Any]) -> None:
        for url, session in servers.items():
            case.call_and_validate(base_url=url, session=session, checks=CHECKS)

    return answers_as_documented
