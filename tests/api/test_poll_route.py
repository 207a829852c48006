"""`getRun` answers what FastAPI's own handling of the same route answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from api.app import create_app
from api.beta import AssistantsRoute
from api.dependencies import AssistantsBeta, PollAfter
from api.routes.runs import retrieve_run
from tests.api.conftest import FinishedRun
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database

KEYS = {"sk-blue": "default", "sk-red": "red"}
BLUE, RED, OPERATOR = ({"authorization": f"Bearer {key}"} for key in (*KEYS, "sk-operator"))
OF_ONE_RESPONSE = ("x-request-id", "openai-processing-ms")


@pytest.fixture(scope="module")
async def both(holdfast: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    """The API with keys, and with `getRun` under `/slow` too, as a route like all others."""
    changes = {"api_keys": KEYS, "operator_keys": [OPERATOR["authorization"].split()[1]], "require_beta_header": True}
    settings = holdfast.resources.settings.model_copy(update=changes)
    app = create_app(replace(holdfast.resources, settings=settings))
    slow = APIRouter(prefix="/slow/threads", dependencies=[AssistantsBeta], route_class=AssistantsRoute)
    slow.get("/{thread_id}/runs/{run_id}", operation_id="getRun", dependencies=[PollAfter])(retrieve_run)
    app.include_router(slow)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        (BLUE | {"openai-beta": "assistants=v2"}, "{thread}/runs/{run}", 200),
        (BLUE | {"openai-beta": "assistants=v2"}, "{thread}/runs/{run}?unknown=1", 200),
        (BLUE | {"openai-beta": "assistants=v1"}, "{thread}/runs/{run}", 200),
        (BLUE, "{thread}/runs/{run}", 400),
        (BLUE | {"openai-beta": "assistants=v3"}, "asst_x/runs/{run}", 400),
        (BLUE | {"openai-beta": "assistants=v2"}, "asst_x/runs/asst_x", 400),
        (BLUE | {"openai-beta": "assistants=v2"}, "{thread}/runs/run_%22", 400),
        (BLUE | {"openai-beta": "assistants=v2"}, "{thread}/runs/run_unknown", 404),
        (BLUE | {"openai-beta": "assistants=v2"}, "thread_other/runs/{run}", 404),
        (RED | {"openai-beta": "assistants=v2"}, "{thread}/runs/{run}", 404),
        (OPERATOR | {"openai-beta": "assistants=v2"}, "{thread}/runs/{run}", 403),
        (OPERATOR, "asst_x/runs/asst_x", 403),
        ({"authorization": "Bearer unknown", "openai-beta": "assistants=v2"}, "{thread}/runs/{run}", 401),
        ({}, "asst_x/runs/asst_x", 401),
    ],
)
async def test_poll_is_answered_as_by_a_route_like_others(
    both: httpx.AsyncClient, finished: FinishedRun, headers: dict[str, str], path: str, status: int
) -> None:
    path = path.format(thread=finished.thread_id, run=finished.run_id)

    quick, slow = [await both.get(f"{prefix}/threads/{path}", headers=headers) for prefix in ("/v1", "/slow")]

    assert quick.status_code == status
    assert _parts(quick) == _parts(slow)


def _parts(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, Any]]]:
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in OF_ONE_RESPONSE]
    return response.status_code, response.content, headers
