from typing import Any

import httpx
import pytest

from api.include import FILE_SEARCH_CONTENT
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize("name", ["include[]", "include"])
@pytest.mark.parametrize("values", [[FILE_SEARCH_CONTENT], [FILE_SEARCH_CONTENT] * 2, [f"{FILE_SEARCH_CONTENT},"[:-1]]])
async def test_supported_value_is_accepted(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, name: str, values: list[str]
) -> None:
    run = await holdfast.until(await holdfast.run(await holdfast.assistant(SCRIPTED_MODEL)))

    response = await http.get(
        f"/v1/threads/{run.thread_id}/runs/{run.id}/steps", params=[(name, value) for value in values]
    )

    assert response.status_code == 200
    assert len(response.json()["data"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/threads/thread_x/runs"),
        ("GET", "/v1/threads/thread_x/runs/run_x/steps"),
        ("GET", "/v1/threads/thread_x/runs/run_x/steps/step_x"),
    ],
)
async def test_unsupported_value_is_rejected(http: httpx.AsyncClient, method: str, path: str) -> None:
    body: Any = {"assistant_id": "asst_x"} if method == "POST" else None

    response = await http.request(method, path, params={"include[]": f"{FILE_SEARCH_CONTENT},usage"}, json=body)

    assert_error(
        response,
        400,
        f"Invalid value: 'usage'. Supported values are: '{FILE_SEARCH_CONTENT}'.",
        "include[1]",
        "invalid_value",
    )


@pytest.mark.parametrize("name", ["include[]", "include"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/threads/runs", {"assistant_id": "asst_x", "stream": True}),
        ("/v1/threads/thread_x/runs/run_x/submit_tool_outputs", {"tool_outputs": [], "stream": True}),
    ],
)
async def test_operations_without_it_refuse_it(http: httpx.AsyncClient, path: str, body: Any, name: str) -> None:
    response = await http.post(path, params={name: FILE_SEARCH_CONTENT}, json=body)

    assert_error(response, 400, f"Unknown parameter: '{name}'.", name, "unknown_parameter")
