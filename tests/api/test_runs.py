from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run

from infra.language_model.scripted import SCRIPTED_MODEL
from models.runs import CreateRunRequest
from tests.api.conftest import FinishedRun
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast, function_tool


@pytest.fixture
async def waiting(holdfast: RunningHoldfast) -> Run:
    """A run that waits for one tool output."""
    assistant = await holdfast.assistant(SCRIPTED_MODEL, "get_weather")
    return await holdfast.until(await holdfast.run(assistant))


async def test_new_run_has_every_key(http: httpx.AsyncClient, holdfast: RunningHoldfast) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL)
    thread = await holdfast.client.beta.threads.create()

    created = (await http.post(f"/v1/threads/{thread.id}/runs", json={"assistant_id": assistant})).json()

    assert created.pop("id").startswith("run_")
    assert created.pop("expires_at") == created.pop("created_at") + 600
    assert created == {
        "object": "thread.run",
        "assistant_id": assistant,
        "thread_id": thread.id,
        "status": "queued",
        "started_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": SCRIPTED_MODEL,
        "instructions": "",
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": None,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


async def test_null_fields_inherit_assistants_settings(http: httpx.AsyncClient, holdfast: RunningHoldfast) -> None:
    settings: dict[str, Any] = {
        "instructions": "Be kind.",
        "temperature": 0.5,
        "top_p": 0.25,
        "reasoning_effort": "low",
    }
    assistant = await holdfast.assistant(SCRIPTED_MODEL, "add", **settings, metadata={"not": "inherited"})
    thread = await holdfast.client.beta.threads.create()
    nulls = dict.fromkeys(CreateRunRequest.model_fields.keys() - {"assistant_id"})

    created = (await http.post(f"/v1/threads/{thread.id}/runs", json={"assistant_id": assistant, **nulls})).json()

    assert {key: created[key] for key in settings} == settings
    assert [tool["function"]["name"] for tool in created["tools"]] == ["add"]
    assert (created["metadata"], created["model"], created["tool_choice"]) == ({}, SCRIPTED_MODEL, "auto")


async def test_overrides_change_run_and_not_assistant(http: httpx.AsyncClient, holdfast: RunningHoldfast) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL, instructions="Be kind.", temperature=0.5)
    before = (await http.get(f"/v1/assistants/{assistant}")).json()
    thread = await holdfast.client.beta.threads.create()
    overrides = {
        "model": "other-model",
        "instructions": "Be brief.",
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {}, "strict": True}}],
        "metadata": {"a": "1"},
        "temperature": 0.0,
        "top_p": 0.0,
        "max_prompt_tokens": 256,
        "max_completion_tokens": 1000,
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
        "reasoning_effort": "high",
    }

    created = (await http.post(f"/v1/threads/{thread.id}/runs", json={"assistant_id": assistant, **overrides})).json()

    assert {key: created[key] for key in overrides} == overrides
    assert (await http.get(f"/v1/assistants/{assistant}")).json() == before


@pytest.mark.any_database
@pytest.mark.parametrize("with_thread", [False, True])
async def test_tool_choice_rejects_unknown_function(
    http: httpx.AsyncClient, holdfast: RunningHoldfast, with_thread: bool
) -> None:
    thread = await holdfast.client.beta.threads.create()
    path = "/v1/threads/runs" if with_thread else f"/v1/threads/{thread.id}/runs"
    choice = {"type": "function", "function": {"name": "subtract"}}
    body = {"assistant_id": await holdfast.assistant(SCRIPTED_MODEL, "add"), "tool_choice": choice}

    response = await http.post(path, json=body)

    message = "Invalid value for 'tool_choice': no function named subtract was specified in the 'tools' parameter."
    assert_error(response, 400, message, "tool_choice")


@pytest.mark.any_database
async def test_required_tool_choice_is_rejected_without_tools(
    http: httpx.AsyncClient, holdfast: RunningHoldfast
) -> None:
    body = {"assistant_id": await holdfast.assistant(SCRIPTED_MODEL), "tool_choice": "required"}

    response = await http.post("/v1/threads/runs", json=body)

    message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
    assert_error(response, 400, message, "tool_choice")


async def test_expiry_of_request_sets_deadline(http: httpx.AsyncClient, holdfast: RunningHoldfast) -> None:
    body = {"assistant_id": await holdfast.assistant(SCRIPTED_MODEL), "expires_after": {"seconds": 7}}

    created = (await http.post("/v1/threads/runs", json=body)).json()

    assert created["expires_at"] - created["created_at"] == 7


async def test_thread_and_run_are_created_together(holdfast: RunningHoldfast) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL)

    run = await holdfast.client.beta.threads.create_and_run(
        assistant_id=assistant,
        thread={"messages": [{"role": "user", "content": "Hi"}], "metadata": {"of": "thread"}},
        metadata={"of": "run"},
        tools=[function_tool("add")],
    )

    thread = await holdfast.client.beta.threads.retrieve(run.thread_id)
    assert (thread.metadata, run.metadata) == ({"of": "thread"}, {"of": "run"})


async def test_run_without_thread_creates_empty_thread(holdfast: RunningHoldfast) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL)

    run = await holdfast.client.beta.threads.create_and_run(assistant_id=assistant)

    assert (await holdfast.client.beta.threads.retrieve(run.thread_id)).metadata == {}


async def test_waiting_run_lists_its_tool_calls(http: httpx.AsyncClient, waiting: Run) -> None:
    read = await http.get(f"/v1/threads/{waiting.thread_id}/runs/{waiting.id}")

    run = read.json()
    [call] = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert run["required_action"]["type"] == "submit_tool_outputs"
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert call["id"].startswith("call_")
    assert isinstance(call["function"]["arguments"], str)
    assert read.headers["openai-poll-after-ms"].isdecimal()


async def test_finished_run_has_recorded_usage(http: httpx.AsyncClient, finished: FinishedRun) -> None:
    run = (await http.get(f"/v1/threads/{finished.thread_id}/runs/{finished.run_id}")).json()

    usage = run["usage"]
    assert usage.keys() == {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_token_details",
        "completion_tokens_details",
    }
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_token_details"] == {"cached_tokens": 0}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}
    assert (run["status"], run["expires_at"], run["required_action"]) == ("completed", None, None)


async def test_modify_replaces_metadata_only(http: httpx.AsyncClient, holdfast: RunningHoldfast, waiting: Run) -> None:
    path = f"/v1/threads/{waiting.thread_id}/runs/{waiting.id}"
    before = (await http.get(path)).json()

    replaced = (await http.post(path, json={"metadata": {"b": "3"}})).json()
    untouched = (await http.post(path)).json()
    cleared = await holdfast.client.beta.threads.runs.update(waiting.id, thread_id=waiting.thread_id, metadata=None)

    assert replaced == untouched == before | {"metadata": {"b": "3"}}
    assert cleared.metadata == {}


@pytest.mark.any_database
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
async def test_cancel_needs_no_body(http: httpx.AsyncClient, waiting: Run, headers: dict[str, str]) -> None:
    response = await http.post(
        f"/v1/threads/{waiting.thread_id}/runs/{waiting.id}/cancel", content=b"", headers=headers
    )

    assert response.status_code == 200
    assert response.json()["status"] == "cancelling"


async def test_runs_are_listed_newest_first(holdfast: RunningHoldfast, finished: FinishedRun) -> None:
    thread = finished.thread_id
    second = await holdfast.client.beta.threads.runs.create(thread, assistant_id=finished.assistant_id, tools=[])
    await holdfast.until(second)

    newest = await holdfast.client.beta.threads.runs.list(thread)
    oldest = await holdfast.client.beta.threads.runs.list(thread, order="asc", limit=1)
    after = await holdfast.client.beta.threads.runs.list(thread, order="asc", after=finished.run_id)

    assert [run.id for run in newest.data] == [second.id, finished.run_id]
    assert [run.id for run in oldest.data] == [finished.run_id]
    assert [run.id for run in after.data] == [second.id]
