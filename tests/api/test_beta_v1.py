"""Programs that use the first beta (v1), on the same objects as v2 programs."""

from typing import Any

import httpx
import pytest

from models.tool_formats.code_interpreter import NO_SANDBOX
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast, function_tool
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

V1 = {"OpenAI-Beta": "assistants=v1"}
IMAGE: Any = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}


async def _post(http: httpx.AsyncClient, path: str, body: Any = None) -> dict[str, Any]:
    response = await http.post(f"/v1{path}", json=body or {}, headers=V1)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def _get(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    response = await http.get(f"/v1{path}", headers=V1)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_assistant_has_v1_keys(http: httpx.AsyncClient) -> None:
    created = await _post(http, "/assistants", {"model": "m", "tools": [function_tool("f")], "file_ids": []})

    assert set(created) == {
        *("id", "object", "created_at", "name", "description", "model", "instructions", "tools", "metadata"),
        "file_ids",
    }
    assert created["file_ids"] == []
    assert (await _get(http, f"/assistants/{created['id']}")) == created
    assert (await _get(http, "/assistants"))["data"][0].keys() == created.keys()


async def test_thread_has_v1_keys(http: httpx.AsyncClient) -> None:
    created = await _post(http, "/threads", {"messages": [{"role": "user", "content": "Hi", "file_ids": []}]})

    assert set(created) == {"id", "object", "created_at", "metadata"}


async def test_v2_message_is_readable_in_v1(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    content: Any = [{"type": "text", "text": "What is it?"}, IMAGE]
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": content}])

    [message] = (await _get(http, f"/threads/{thread.id}/messages"))["data"]

    assert "attachments" not in message
    assert message["file_ids"] == []
    assert [part["text"]["value"] for part in message["content"]] == ["What is it?", IMAGE["image_url"]["url"]]


async def test_run_can_be_driven_from_v1_and_v2(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("v1-run", Calls(("weather", "{}")), Says("Sunny."))
    assistant = await _post(http, "/assistants", {"model": "v1-run", "tools": [function_tool("weather")]})
    thread = {"messages": [{"role": "user", "content": "Hello"}]}

    created = await _post(http, "/threads/runs", {"assistant_id": assistant["id"], "thread": thread})
    waiting = await holdfast.until(
        await holdfast.client.beta.threads.runs.retrieve(created["id"], thread_id=created["thread_id"])
    )
    await holdfast.submit(waiting, "sunny")
    await holdfast.until(waiting, "completed")
    done = await _get(http, f"/threads/{created['thread_id']}/runs/{created['id']}")

    assert (created["status"], created["instructions"], created["file_ids"]) == ("queued", "", [])
    assert {"parallel_tool_calls", "top_p", "tool_resources", "reasoning_effort"}.isdisjoint(created)
    assert (done["status"], done["usage"]["total_tokens"]) == ("completed", 30)
    steps = await _get(http, f"/threads/{created['thread_id']}/runs/{created['id']}/steps")
    assert [step["type"] for step in steps["data"]] == ["message_creation", "tool_calls"]


async def test_incomplete_run_has_status_completed_in_v1(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("v1-cut", Says("Once upon", finish="length"))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("v1-cut")), "incomplete")

    seen = await _get(http, f"/threads/{run.thread_id}/runs/{run.id}")

    assert seen["status"] == "completed"
    assert seen["incomplete_details"] == {"reason": "max_completion_tokens"}


async def test_metadata_values_become_strings(http: httpx.AsyncClient) -> None:
    given = {"user": 12, "modified": True, "score": 1.5, "name": "Ada"}
    texts = {"user": "12", "modified": "True", "score": "1.5", "name": "Ada"}
    message = {"role": "user", "content": "Hi", "metadata": given}
    thread = await _post(http, "/threads", {"metadata": given, "messages": [message]})
    messages = f"/threads/{thread['id']}/messages"

    modified = await _post(http, f"/threads/{thread['id']}", {"metadata": given})
    added = await _post(http, messages, message)
    modified_message = await _post(http, f"{messages}/{added['id']}", {"metadata": given})
    [*listed] = (await _get(http, messages))["data"]

    assert [each["metadata"] for each in (thread, modified, added, modified_message, *listed)] == [texts] * 6


@pytest.mark.parametrize(
    ("path", "body", "message", "param", "code"),
    [
        (
            "/assistants",
            {"model": "m", "temperature": 1},
            "Unknown parameter: 'temperature'.",
            "temperature",
            "unknown_parameter",
        ),
        (
            "/threads",
            {"tool_resources": {}},
            "Unknown parameter: 'tool_resources'.",
            "tool_resources",
            "unknown_parameter",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": "Hi", "attachments": []}]},
            "Unknown parameter: 'messages[0].attachments'.",
            "messages[0].attachments",
            "unknown_parameter",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": [IMAGE]}]},
            "Invalid type for 'messages[0].content': expected a string, but got an array instead.",
            "messages[0].content",
            "invalid_type",
        ),
        (
            "/assistants",
            {"model": "m", "tools": [{"type": "browser"}]},
            "Invalid value: 'browser'. Supported values are: 'code_interpreter', 'retrieval', and 'function'.",
            "tools[0].type",
            "invalid_value",
        ),
        (
            "/assistants",
            {"model": "m", "tools": [{"type": "file_search"}]},
            "Invalid value: 'file_search'. Supported values are: 'code_interpreter', 'retrieval', and 'function'.",
            "tools[0].type",
            "invalid_value",
        ),
        (
            "/assistants",
            {"model": "m", "tools": [{"type": "code_interpreter"}]},
            NO_SANDBOX,
            "tools[0].type",
            "unsupported_parameter",
        ),
        (
            "/threads/runs",
            {"assistant_id": "asst_x", "thread": {"messages": [{"role": "user", "content": "Hi", "file_ids": ["f"]}]}},
            "Invalid 'thread.messages[0].file_ids[0]': 'f'. Expected an ID that begins with 'file'.",
            "thread.messages[0].file_ids[0]",
            "invalid_value",
        ),
        (
            "/assistants",
            {"model": "m", "file_ids": "file-a"},
            "Invalid type for 'file_ids': expected an array of strings.",
            "file_ids",
            "invalid_type",
        ),
        (
            "/assistants",
            {"model": "m", "file_ids": ["file-a"] * 21},
            "Invalid 'file_ids': array too long. Expected an array with maximum length 20, but got an array with "
            "length 21 instead.",
            "file_ids",
            "array_above_max_length",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": "Hi", "file_ids": ["file-a"] * 11}]},
            "Invalid 'messages[0].file_ids': array too long. Expected an array with maximum length 10, but got an "
            "array with length 11 instead.",
            "messages[0].file_ids",
            "array_above_max_length",
        ),
    ],
)
async def test_v1_rejects_v2_only_fields(
    http: httpx.AsyncClient, path: str, body: Any, message: str, param: str, code: str
) -> None:
    response = await http.post(f"/v1{path}", json=body, headers=V1)

    assert_error(response, 400, message, param, code)


async def test_v2_rejects_v1_only_tools(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/assistants", json={"model": "m", "tools": [{"type": "retrieval"}]})

    assert_error(
        response,
        400,
        "Invalid value: 'retrieval'. Supported values are: 'code_interpreter', 'function', 'file_search', and "
        "'web_retrieval'.",
        "tools[0].type",
        "invalid_value",
    )


async def test_errors_and_deletions_have_v2_form(http: httpx.AsyncClient) -> None:
    thread = await _post(http, "/threads")

    deleted = await http.delete(f"/v1/threads/{thread['id']}", headers=V1)
    missing = await http.get(f"/v1/threads/{thread['id']}", headers=V1)

    assert deleted.json() == {"id": thread["id"], "object": "thread.deleted", "deleted": True}
    assert_error(missing, 404, f"No thread found with id '{thread['id']}'.")


async def test_files_and_vector_stores_are_the_same_in_both_versions(http: httpx.AsyncClient) -> None:
    sent = await http.post("/v1/files", files={"file": ("a.md", b"Hello.")}, data={"purpose": "assistants"}, headers=V1)
    store = await _post(http, "/vector_stores", {"file_ids": [sent.json()["id"]]})

    assert sent.status_code == 200
    for path in (f"/files/{sent.json()['id']}", f"/vector_stores/{store['id']}/files/{sent.json()['id']}"):
        in_v2 = (await http.get(f"/v1{path}", headers={"OpenAI-Beta": "assistants=v2"})).json()
        assert (await _get(http, path)).keys() == in_v2.keys()
