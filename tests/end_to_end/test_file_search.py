"""Runs with `file_search`: the search, what clients and the model see of it, and mixed turns."""

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run
from openai.types.beta.threads.runs import FileSearchToolCall, FunctionToolCall, RunStep, ToolCallsStepDetails
from sqlalchemy import Connection

from activities.prompt import LEFT_OUT
from activities.tools.file_search import STILL_INDEXING, FileSearch
from api.include import FILE_SEARCH_CONTENT
from infra.database.searched_stores import StoreOwner
from infra.database.vector_store_tables import VECTOR_STORES
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.searched_stores import searched_thread, searching, store_in_preparation, store_of
from workflows import worker

VACATION = "Employees get twenty-five days of paid vacation each year."
PARKING = "Parking spaces are behind the main building."
CONTENT: Any = [FILE_SEARCH_CONTENT]


def queries(*texts: str) -> str:
    return json.dumps({"queries": texts})


async def calls_of(holdfast: RunningHoldfast, run: Run, **fields: Any) -> Sequence[Any]:
    steps = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc", **fields)
    found = [step.step_details for step in steps.data if isinstance(step.step_details, ToolCallsStepDetails)]
    return [call for details in found for call in details.tool_calls]


@pytest.mark.any_database
async def test_the_built_in_model_searches_for_the_users_message(holdfast: RunningHoldfast) -> None:
    store_id = await store_of(holdfast, VACATION, PARKING)

    run = await holdfast.until(
        await holdfast.run(await searching(holdfast, SCRIPTED_MODEL, store_id), "How many days of vacation?")
    )

    assert run.status == "completed"
    assert "【0:0†handbook.md】" in (await holdfast.texts(run))[-1]
    assert VACATION in (await holdfast.texts(run))[-1]
    (call,) = await calls_of(holdfast, run)
    assert isinstance(call, FileSearchToolCall)
    assert call.file_search.ranking_options is not None
    assert call.file_search.ranking_options.to_dict() == {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    assert [result.file_name for result in call.file_search.results or ()] == ["handbook.md"] * 2
    assert all(result.content is None for result in call.file_search.results or ())


async def test_search_of_a_run_keeps_its_store_active(holdfast: RunningHoldfast) -> None:
    store_id = await store_of(holdfast, VACATION)
    long_ago = VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(last_active_at=1)
    await holdfast.resources.database.write(Connection.execute, long_ago)

    run = await holdfast.until(await holdfast.run(await searching(holdfast, SCRIPTED_MODEL, store_id), "vacation"))

    active_at = (await holdfast.client.vector_stores.retrieve(store_id)).last_active_at
    assert active_at is not None
    assert run.created_at <= active_at <= (run.completed_at or 0)


@pytest.mark.any_database
async def test_search_goes_on_without_files_that_take_too_long(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = partial(FileSearch, indexing_wait=timedelta(seconds=1))
    monkeypatch.setattr(worker, "FileSearch", impatient)
    await own_holdfast.start_worker()
    provider.script("impatient", Calls(("file_search", queries("late"))), Says("Nothing."))
    assistant = await searching(own_holdfast, "impatient")

    run = await own_holdfast.run(assistant, thread=searched_thread(await store_in_preparation(own_holdfast)))

    assert (await own_holdfast.until(run)).status == "completed"
    [told] = [each["content"] for each in provider.requests("impatient")[1]["messages"] if each["role"] == "tool"]
    assert STILL_INDEXING[StoreOwner.THREAD] in told


async def test_content_is_shown_to_those_who_ask_for_it(holdfast: RunningHoldfast) -> None:
    store_id = await store_of(holdfast, VACATION)
    assistant = await searching(holdfast, SCRIPTED_MODEL, store_id)
    run = await holdfast.until(await holdfast.run(assistant, "vacation"))

    (call,) = await calls_of(holdfast, run, include=CONTENT)

    assert [part.text for result in call.file_search.results for part in result.content] == [VACATION]


@pytest.mark.any_database
@pytest.mark.parametrize("include", [CONTENT, []])
async def test_the_stream_has_content_for_those_who_ask_for_it(holdfast: RunningHoldfast, include: Any) -> None:
    store_id = await store_of(holdfast, VACATION)
    threads = holdfast.client.beta.threads
    thread = await threads.create(messages=[{"role": "user", "content": "vacation"}])
    assistant = await searching(holdfast, SCRIPTED_MODEL, store_id)

    stream = await threads.runs.create(thread.id, assistant_id=assistant, stream=True, include=include)
    events = [event async for event in stream]

    names = [event.event.removeprefix("thread.") for event in events]
    assert names[:7] == [
        "run.created",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.step.completed",
    ]
    (delta,) = [event for event in events if event.event == "thread.run.step.delta"]
    (opened,) = delta.data.to_dict()["delta"]["step_details"]["tool_calls"]  # type: ignore[index]
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    assert opened["file_search"] == {"ranking_options": ranking, "results": []}
    (closed, _) = [event.data for event in events if event.event == "thread.run.step.completed"]
    assert isinstance(closed, RunStep)
    assert isinstance(closed.step_details, ToolCallsStepDetails)
    (call,) = closed.step_details.tool_calls
    assert isinstance(call, FileSearchToolCall)
    content = [part.text for result in call.file_search.results or () for part in result.content or ()]
    assert content == ([VACATION] if include else [])


@pytest.mark.any_database
@pytest.mark.parametrize("include", [CONTENT, []])
async def test_stream_that_is_continued_has_content_for_those_who_ask_for_it(
    holdfast: RunningHoldfast, include: Any
) -> None:
    assistant = await searching(holdfast, SCRIPTED_MODEL, await store_of(holdfast, VACATION))
    run = await holdfast.until(await holdfast.run(assistant, "vacation"))

    async with httpx.AsyncClient(base_url=holdfast.url) as client:
        path = f"/v1/threads/{run.thread_id}/runs/{run.id}/events"
        events = (await client.get(path, params={"after": 3, "include[]": include})).text

    data = [json.loads(line.removeprefix("data: ")) for line in events.splitlines() if line.startswith("data: {")]
    (closed,) = [each for each in data if each.get("type") == "tool_calls" and each["status"] == "completed"]
    (result,) = closed["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert result.get("content") == ([{"type": "text", "text": VACATION}] if include else None)


@pytest.mark.any_database
async def test_mixed_turn_runs_the_servers_calls_first(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    store_id = await store_of(holdfast, VACATION)
    asks = Calls(("weather", '{"city": "Rome"}'), ("file_search", queries("vacation")), ("weather", "{}"))
    provider.script("mixed", asks, Says("Done."))
    assistant = await searching(holdfast, "mixed", store_id, "weather")

    run = await holdfast.until(await holdfast.run(assistant))

    assert run.status == "requires_action"
    assert run.required_action
    asked = run.required_action.submit_tool_outputs.tool_calls
    calls = await calls_of(holdfast, run)
    assert [call.type for call in calls] == ["function", "file_search", "function"]
    assert [call.id for call in asked] == [calls[0].id, calls[2].id]
    assert [result.file_name for result in calls[1].file_search.results] == ["handbook.md"]

    run = await holdfast.until(await holdfast.submit(run, "sunny", "rainy"))

    assert run.status == "completed"
    calls = await calls_of(holdfast, run)
    assert [call.function.output for call in calls if isinstance(call, FunctionToolCall)] == ["sunny", "rainy"]
    outputs = [message["content"] for message in provider.requests("mixed")[1]["messages"] if message["role"] == "tool"]
    assert outputs[0] == "sunny"
    assert outputs[2] == "rainy"
    # The second call of the first turn: its results have the numbers from 50 on.
    assert outputs[1].startswith(f"【0:50†handbook.md】\n{VACATION}\n\n")


@pytest.mark.any_database
async def test_oldest_results_are_left_out_of_a_prompt_that_is_full(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider)
    small = {
        "model_name": "small-window",
        "litellm_params": provider.litellm_params("openai/small-window"),
        "model_info": {"max_input_tokens": 1_000},
    }
    provider.models_file(tmp_path, small)
    search = Calls(("file_search", queries("vacation")))
    provider.script("small-window", *[search] * 4, Says("Done."))

    async with running_holdfast(settings) as holdfast:
        store_id = await store_of(holdfast, "vacation " * 120)
        run = await holdfast.until(await holdfast.run(await searching(holdfast, "small-window", store_id)))

    assert run.status == "completed"
    tools = [
        message["content"] for message in provider.requests("small-window")[-1]["messages"] if "tool_call_id" in message
    ]
    assert [content == LEFT_OUT for content in tools] == [True, True, False, False]
