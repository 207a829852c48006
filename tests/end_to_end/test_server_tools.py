"""Calls that the server runs, whatever the tool: cancelled, expired, repeated, failed, and bounded."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openai.types.beta.threads import Run
from openai.types.beta.threads.runs import RunStep
from sqlalchemy import Connection
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from activities import heartbeat as heartbeats
from activities.heartbeat import CALM_INTERVAL, HEARTBEAT_INTERVAL
from activities.takeovers import SILENT_FOR
from activities.tools.file_search import REFUSED, UNAVAILABLE
from infra.database.vector_store_tables import VECTOR_STORES
from infra.embeddings.embedders import Embedders
from infra.embeddings.errors import EmbeddingFailed, EmbeddingRefused, EmbeddingUnavailable
from infra.language_model.scripted import SCRIPTED_MODEL
from infra.ports import Embedder, ToolScope
from models.finalization import turns_used_up
from models.tool_calls import SearchHits, ToolCall, ToolKind
from models.tool_formats.file_search import INVALID_ARGUMENTS
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import closed, reset, workflow_tasks
from tests.searched_stores import ingest, searched_thread, searching, store_in_preparation, store_of
from tests.stored_files import store_file
from tests.streams import all_events, forget, streamed
from tests.sweeps import sweep_now, terminate
from workflows import activity_options, worker
from workflows.worker import MAX_HEARTBEAT_THROTTLE

VACATION = "Employees get twenty-five days of paid vacation each year."
SEARCH = Calls(("file_search", '{"queries": ["vacation"]}'))
WEATHER = ("weather", '{"city": "Rome"}')
SOON = {"expires_after": {"anchor": "created_at", "seconds": 2}}


class FailingEmbedder:
    """Fails once, then answers."""

    def __init__(self, *failures: EmbeddingFailed) -> None:
        self.model = "failing"
        self.dimensions = 2
        self.failures = list(failures)

    async def windows(self, text: str) -> Sequence[str]:
        return [text]

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        if self.failures:
            raise self.failures.pop(0)
        return [[1.0, 0.0] for _ in texts]


async def steps_of(holdfast: RunningHoldfast, run: Run) -> list[RunStep]:
    page = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    return page.data


async def timeline(holdfast: RunningHoldfast, run: Run) -> Any:
    return await holdfast.client.get(f"/ops/runs/{run.id}", cast_to=object)


def outputs(request: Any) -> list[str]:
    """The outputs of tools in a request to the model."""
    return [message["content"] for message in request["messages"] if message["role"] == "tool"]


async def waiting_for_a_search(holdfast: RunningHoldfast, model: str, **fields: Any) -> Run:
    """A run in which the server is running calls: they wait for a file."""
    store_id = await store_in_preparation(holdfast)
    assistant = await searching(holdfast, model, None, "weather")
    run = await holdfast.run(assistant, thread=searched_thread(store_id), **fields)
    async with asyncio.timeout(10):
        while not await pending_calls(holdfast, run):
            await asyncio.sleep(0.02)
    return run


async def pending_calls(holdfast: RunningHoldfast, run: Run) -> int:
    """The number of server calls that workers are running."""
    described = await holdfast.resources.temporal.get_workflow_handle(run.id).describe()
    pending = described.raw_description.pending_activities
    return sum(each.activity_type.name == "ToolCalls.execute" and each.attempt > 0 for each in pending)


@pytest.mark.any_database
async def test_cancel_stops_running_calls(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cancel-tools", Calls(*SEARCH.calls, WEATHER, *SEARCH.calls))
    run = await waiting_for_a_search(holdfast, "cancel-tools")
    assert (await holdfast.until(run, "in_progress")).required_action is None

    await holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    cancelled = await holdfast.until(run, "cancelled", timeout_seconds=3)

    [step] = await steps_of(holdfast, run)
    assert (step.status, step.cancelled_at is not None) == ("cancelled", True)
    assert cancelled.usage is not None
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    await closed(handle)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


class HangingSearch:
    """Ends by itself from its second attempt on; the first one waits until it is cancelled."""

    def __init__(self, *_: object) -> None:
        self.has_begun, self.was_cancelled = asyncio.Event(), asyncio.Event()
        self.cancelled_at = 0.0

    async def run(self, call: ToolCall, scope: ToolScope) -> SearchHits:
        if scope.attempt > 1:
            return SearchHits(())
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled_at = time.time()
            self.was_cancelled.set()
        raise AssertionError


@pytest.fixture
def hanging_search(monkeypatch: pytest.MonkeyPatch) -> HangingSearch:
    """The search of workers that are started after this."""
    search = HangingSearch()
    monkeypatch.setattr(worker, "FileSearch", lambda *_: search)
    return search


@pytest.mark.any_database
async def test_cancel_reaches_a_running_call_with_the_next_heartbeat(
    own_holdfast: RunningHoldfast,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    hanging_search: HangingSearch,
) -> None:
    beats, heartbeat = list[float](), activity.heartbeat

    def noted(*details: Any) -> None:
        beats.append(time.time())
        heartbeat(*details)

    monkeypatch.setattr(activity, "heartbeat", noted)
    monkeypatch.setattr(heartbeats, "CALM_INTERVAL", HEARTBEAT_INTERVAL)
    provider.script("cancel-running", SEARCH)
    await own_holdfast.start_worker()
    run = await own_holdfast.run(await searching(own_holdfast, "cancel-running"))
    async with asyncio.timeout(20):
        await hanging_search.has_begun.wait()
        beats.clear()
        # The SDK sends the first one in any case, and may hold back those after it.
        while len(beats) < 2:
            await asyncio.sleep(0.02)
        # After the next one there is none for a minute, unless the cancel is announced.
        monkeypatch.setattr(heartbeats, "CALM_INTERVAL", timedelta(minutes=1))
        while len(beats) < 3:
            await asyncio.sleep(0.02)
        await own_holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
        await hanging_search.was_cancelled.wait()
    await own_holdfast.until(run, "cancelled")

    # Counted instead of timed: the answer to the first heartbeat after the request has the cancel. The next one may be
    # sent before that answer is there.
    requested_at = await cancel_requested_at(own_holdfast, run)
    assert len([at for at in beats if requested_at < at < hanging_search.cancelled_at]) <= 2
    # Each of them is sent, and soon enough.
    assert MAX_HEARTBEAT_THROTTLE < HEARTBEAT_INTERVAL < timedelta(seconds=1)
    assert CALM_INTERVAL <= SILENT_FOR / 2


async def cancel_requested_at(holdfast: RunningHoldfast, run: Run) -> float:
    """When Temporal noted that the call is to be cancelled; its clock is this machine's."""
    history = await holdfast.resources.temporal.get_workflow_handle(run.id).fetch_history()
    kind = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
    [requested] = [event for event in history.events if event.event_type == kind]
    return requested.event_time.ToMicroseconds() / 1_000_000


@pytest.mark.any_database
async def test_attempt_that_hangs_ends_at_its_time_limit_and_is_repeated(
    own_holdfast: RunningHoldfast,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    hanging_search: HangingSearch,
) -> None:
    monkeypatch.setitem(activity_options.TOOL_TIME_LIMITS, ToolKind.FILE_SEARCH, timedelta(seconds=1))
    provider.script("hanging-tool", SEARCH, Says("Done."))
    await own_holdfast.start_worker()

    run = await own_holdfast.until(await own_holdfast.run(await searching(own_holdfast, "hanging-tool")))

    assert run.status == "completed"
    async with asyncio.timeout(20):
        await hanging_search.was_cancelled.wait()
    [call] = (await timeline(own_holdfast, run))["turns"][0]["tool_calls"]
    assert (call["attempts"], [failure["attempt"] for failure in call["failures"]]) == (2, [1])


@pytest.mark.any_database
async def test_run_expires_while_calls_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("expire-tools", SEARCH)

    run = await waiting_for_a_search(holdfast, "expire-tools", extra_body=SOON)
    expired = await holdfast.until(run, "expired")

    [step] = await steps_of(holdfast, run)
    assert (step.status, step.expired_at is not None) == ("expired", True)
    assert expired.last_error is None


async def test_calls_of_one_turn_run_in_parallel(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("parallel-tools", Calls(*SEARCH.calls * 3))
    run = await waiting_for_a_search(holdfast, "parallel-tools")

    async with asyncio.timeout(10):
        while await pending_calls(holdfast, run) < 3:
            await asyncio.sleep(0.02)

    await holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await holdfast.until(run, "cancelled")


@pytest.mark.any_database
async def test_calls_are_summarized_in_the_temporal_ui(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("summary-tools", SEARCH, Says("Done."))
    run = await holdfast.until(await holdfast.run(await searching(holdfast, "summary-tools")))

    history = await holdfast.resources.temporal.get_workflow_handle(run.id).fetch_history()

    summaries = [event.user_metadata.summary.data for event in history.events if event.HasField("user_metadata")]
    assert b'"file_search"' in summaries


@pytest.mark.any_database
@pytest.mark.parametrize("by_reset", [False, True])
async def test_resumed_run_uses_the_stored_results(
    holdfast: RunningHoldfast, provider: ScriptedProvider, by_reset: bool
) -> None:
    model = f"resume-tools-{by_reset}"
    provider.script(model, SEARCH, Fails(401, "No such key."), Says("Done."))
    run = await holdfast.until(await holdfast.run(await searching(holdfast, model, await store_of(holdfast, VACATION))))
    assert run.status == "failed"
    before = (await timeline(holdfast, run))["turns"][0]["tool_calls"]

    if by_reset:
        await closed(holdfast.resources.temporal.get_workflow_handle(run.id))
        await reset(holdfast, run, (await workflow_tasks(holdfast, run))[0])
    else:
        await holdfast.client.post(f"/ops/runs/{run.id}/retry", cast_to=object, body={})
    run = await holdfast.until(run, "completed")

    assert (await timeline(holdfast, run))["turns"][0]["tool_calls"] == before
    first, second, third = map(outputs, provider.requests(model))
    assert first == []
    assert second == third
    assert VACATION in second[0]


@pytest.mark.any_database
@pytest.mark.parametrize("by_reset", [False, True])
async def test_run_whose_workflow_was_terminated_while_calls_ran_is_resumed(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, by_reset: bool
) -> None:
    model = f"terminated-tools-{by_reset}"
    provider.script(model, Calls(*SEARCH.calls, ("file_search", "")), Says("Done."))
    await own_holdfast.start_worker()
    run = await waiting_for_a_search(own_holdfast, model)
    await until_answered(own_holdfast, run, 1)
    await terminate(own_holdfast, run)
    await sweep_now(own_holdfast)
    failed = await own_holdfast.until(run, "failed")
    [closed_step] = await steps_of(own_holdfast, run)

    await finish_preparation(own_holdfast, run)
    if by_reset:
        await reset(own_holdfast, run, (await workflow_tasks(own_holdfast, run))[0])
    else:
        await own_holdfast.client.post(f"/ops/runs/{run.id}/retry", cast_to=object, body={})
    done = await own_holdfast.until(run, "completed")

    assert (failed.status, closed_step.status, done.last_error) == ("failed", "failed", None)
    [step, _] = await steps_of(own_holdfast, run)
    assert (step.id, step.status, step.last_error) == (closed_step.id, "completed", None)
    searched, invalid = outputs(provider.requests(model)[1])
    assert ("Late." in searched, invalid) == (True, INVALID_ARGUMENTS)


async def until_answered(holdfast: RunningHoldfast, run: Run, number: int) -> None:
    async with asyncio.timeout(10):
        while True:
            calls = (await timeline(holdfast, run))["turns"][0]["tool_calls"]
            if sum(call["is_answered"] for call in calls) == number:
                return
            await asyncio.sleep(0.02)


async def finish_preparation(holdfast: RunningHoldfast, run: Run) -> None:
    """Have the files of the thread's store ingested."""
    thread = await holdfast.client.beta.threads.retrieve(run.thread_id)
    assert thread.tool_resources is not None
    assert thread.tool_resources.file_search is not None
    [store_id] = thread.tool_resources.file_search.vector_store_ids or [""]
    await ingest(holdfast, store_id)


async def _no_other(model: str, dimensions: int) -> Embedder:
    raise AssertionError(model)


@asynccontextmanager
async def embedding_with(holdfast: RunningHoldfast, embedder: FailingEmbedder) -> AsyncIterator[str]:
    """A worker whose embedder fails as given, once a store is filled. Yields the store's id."""
    failures, embedder.failures = embedder.failures, []
    holdfast.resources = replace(holdfast.resources, embedders=Embedders(embedder, _no_other))
    await holdfast.start_worker()
    store_id = await store_of(holdfast)
    await holdfast.resources.database.write(_set_model, store_id)
    file_id = await store_file(holdfast.resources, VACATION)
    await holdfast.client.vector_stores.files.create_and_poll(file_id, vector_store_id=store_id)
    embedder.failures = failures
    yield store_id


def _set_model(connection: Connection, store_id: str) -> None:
    """The API created the store with its own embedder."""
    values = {"embedding_model": "failing", "dimensions": 2}
    connection.execute(VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(**values))


@pytest.mark.any_database
async def test_outage_of_a_tool_is_retried(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("outage-tools", SEARCH, Says("Done."))
    async with embedding_with(own_holdfast, FailingEmbedder(EmbeddingUnavailable("No connection."))) as store_id:
        run = await own_holdfast.until(await own_holdfast.run(await searching(own_holdfast, "outage-tools", store_id)))

    assert run.status == "completed"
    assert VACATION in outputs(provider.requests("outage-tools")[1])[0]
    [call] = (await timeline(own_holdfast, run))["turns"][0]["tool_calls"]
    assert (call["kind"], call["is_answered"], call["attempts"], call["error"]) == ("file_search", True, 2, None)
    assert [failure["attempt"] for failure in call["failures"]] == [1]


@pytest.mark.any_database
async def test_outage_until_the_deadline_fails_the_run_with_its_reason(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("long-outage-tools", SEARCH)
    outage = [EmbeddingUnavailable("No connection.")] * 100
    async with embedding_with(own_holdfast, FailingEmbedder(*outage)) as store_id:
        assistant = await searching(own_holdfast, "long-outage-tools", store_id)
        # Time enough for the turn and an attempt on a busy machine.
        lifetime = {"expires_after": {"anchor": "created_at", "seconds": 6}}
        run = await own_holdfast.until(await own_holdfast.run(assistant, extra_body=lifetime))

    assert (run.status, run.last_error and run.last_error.code) == ("failed", "server_error")
    assert run.last_error is not None
    assert run.last_error.message == UNAVAILABLE


@pytest.mark.any_database
async def test_failure_for_good_is_told_to_the_model(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("refused-tools", SEARCH, Says("I could not search."))
    async with embedding_with(own_holdfast, FailingEmbedder(EmbeddingRefused("No such key."))) as store_id:
        run = await own_holdfast.until(await own_holdfast.run(await searching(own_holdfast, "refused-tools", store_id)))

    assert run.status == "completed"
    assert outputs(provider.requests("refused-tools")[1]) == [REFUSED]
    [call] = (await timeline(own_holdfast, run))["turns"][0]["tool_calls"]
    assert (call["attempts"], call["error"]) == (1, REFUSED)
    [searched, _] = await steps_of(own_holdfast, run)
    assert searched.status == "completed"


@pytest.mark.any_database
@pytest.mark.parametrize("arguments", ["", "{", "[" * 100_000])
async def test_invalid_arguments_are_told_to_the_model(
    holdfast: RunningHoldfast, provider: ScriptedProvider, arguments: str
) -> None:
    model = f"invalid-{len(arguments)}"
    provider.script(model, Calls(("file_search", arguments)), Says("Sorry."))

    run = await holdfast.until(await holdfast.run(await searching(holdfast, model)))

    assert run.status == "completed"
    assert outputs(provider.requests(model)[1]) == [INVALID_ARGUMENTS]


@pytest.mark.any_database
@pytest.mark.parametrize("character", ["\\ud83d", "\\u0000"])
async def test_query_with_a_character_that_is_none_is_searched(
    holdfast: RunningHoldfast, provider: ScriptedProvider, character: str
) -> None:
    model = f"no-character-{character[1:]}"
    provider.script(model, Calls(("file_search", f'{{"queries": ["vacation {character}"]}}')), Says("Done."))

    run = await holdfast.until(await holdfast.run(await searching(holdfast, model, await store_of(holdfast, VACATION))))

    assert run.status == "completed"
    assert VACATION in outputs(provider.requests(model)[1])[0]


@pytest.mark.any_database
async def test_answer_cut_off_in_its_calls_runs_none(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cut-tools", Calls(*SEARCH.calls, finish="length"))

    run = await holdfast.until(await holdfast.run(await searching(holdfast, "cut-tools")))

    assert run.status == "incomplete"
    [step] = await steps_of(holdfast, run)
    assert step.status == "completed"
    [call] = (await timeline(holdfast, run))["turns"][0]["tool_calls"]
    assert call["is_answered"] is False


@pytest.mark.any_database
async def test_users_function_keeps_its_name(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    both = Calls(("file_search", '{"city": "Rome"}'), ("file_search_2", '{"queries": ["vacation"]}'))
    provider.script("same-name", both, Says("Done."))
    assistant = await searching(holdfast, "same-name", None, "file_search")

    waiting = await holdfast.until(await holdfast.run(assistant))

    assert waiting.required_action is not None
    [asked] = waiting.required_action.submit_tool_outputs.tool_calls
    assert (asked.function.name, asked.function.arguments) == ("file_search", '{"city": "Rome"}')
    run = await holdfast.until(await holdfast.submit(waiting, "sunny"))
    assert run.status == "completed"
    offered = [tool["function"]["name"] for tool in provider.requests("same-name")[0]["tools"]]
    assert offered == ["file_search_2", "file_search"]


@pytest.mark.any_database
async def test_tool_choice_names_a_server_tool(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("choice-tools", SEARCH, Says("Done."))
    assistant = await searching(holdfast, "choice-tools", None, "weather")

    run = await holdfast.until(await holdfast.run(assistant, tool_choice={"type": "file_search"}))

    assert run.status == "completed"
    first, second = provider.requests("choice-tools")
    assert first["tool_choice"] == {"type": "function", "function": {"name": "file_search"}}
    assert "tool_choice" not in second


@pytest.mark.any_database
@pytest.mark.parametrize("last", [SEARCH, Calls(*SEARCH.calls, WEATHER, text="Let me see.")])
async def test_model_that_never_stops_calling_is_stopped(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture, last: Calls
) -> None:
    model = f"endless-{len(last.calls)}"
    provider.script(model, *[SEARCH] * 2, last, Says("Never asked."))
    async with running_holdfast(settings_for(tmp_path, temporal_port, provider, max_turns=3)) as holdfast:
        assistant = await searching(holdfast, model, None, "weather")
        seen = await streamed(holdfast, assistant)
        run = await holdfast.client.beta.threads.runs.retrieve(seen[1].json["id"], thread_id=seen[0].json["id"])
        steps = await steps_of(holdfast, run)
        forget(holdfast)
        replayed = await all_events(holdfast, seen[1].json)

    assert (run.status, run.last_error, run.required_action) == ("incomplete", None, None)
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_prompt_tokens"
    assert len(provider.requests(model)) == 3
    assert {step.status for step in steps} == {"completed"}
    [told] = [step for step in steps if step.last_error]
    assert told == [step for step in steps if step.type == "tool_calls"][-1]
    assert told.last_error is not None
    assert (told.last_error.code, told.last_error.message) == ("server_error", turns_used_up(3).message)
    assert "run.turns_used_up" in [record.message for record in caplog.records]
    assert [event.name for event in replayed] == [event.name for event in seen]
    assert [event.json for event in replayed[-3:-1]] == [event.json for event in seen[-3:-1]]


@pytest.mark.any_database
async def test_model_that_never_stops_calling_functions_is_stopped(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider.script("endless-functions", *[Calls(WEATHER)] * 3)
    async with running_holdfast(settings_for(tmp_path, temporal_port, provider, max_turns=2)) as holdfast:
        waiting = await holdfast.until(await holdfast.run(await holdfast.assistant("endless-functions", "weather")))
        assert waiting.status == "requires_action"

        run = await holdfast.until(await holdfast.submit(waiting, "sunny"))

        _, last = await steps_of(holdfast, run)
        await closed(holdfast.resources.temporal.get_workflow_handle(run.id))
    assert (run.status, run.required_action) == ("incomplete", None)
    assert last.last_error is not None
    assert (last.status, last.last_error.message) == ("completed", turns_used_up(2).message)
    assert "run.turns_used_up" in [record.message for record in caplog.records]


@pytest.mark.any_database
async def test_model_without_function_calling_searches_and_cites(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider)
    provider.models_file(tmp_path, provider.without_functions("in-text"))
    action = f"Thought: I search.\nAction: file_search\nAction Input: {json.dumps({'queries': ['vacation']})}\n"
    provider.script("in-text", Says(action), Says("Thought: I know.\nFinal Answer: Twenty-five 【0:0†handbook.md】."))

    async with running_holdfast(settings) as holdfast:
        store_id = await store_of(holdfast, VACATION)
        run = await holdfast.until(await holdfast.run(await searching(holdfast, "in-text", store_id)))

        assert run.status == "completed"
        [answer, _] = (await holdfast.client.beta.threads.messages.list(run.thread_id)).data
        [searched, _] = await steps_of(holdfast, run)
        [file] = (await holdfast.client.vector_stores.files.list(store_id)).data
    assert searched.step_details.type == "tool_calls"
    [call] = searched.step_details.tool_calls
    assert call.type == "file_search"
    assert [result.file_id for result in call.file_search.results or ()] == [file.id]
    [text] = [part.text for part in answer.content if part.type == "text"]
    assert text.value == "Twenty-five 【0:0†handbook.md】."
    [cited] = text.annotations
    assert cited.type == "file_citation"
    assert (cited.file_citation.file_id, cited.text) == (file.id, text.value[cited.start_index : cited.end_index])
    assert f"Observation: 【0:0†handbook.md】\n{VACATION}" in provider.requests("in-text")[1]["messages"][-1]["content"]


@pytest.mark.any_database
async def test_built_in_model_searches_and_calls_in_one_turn(holdfast: RunningHoldfast) -> None:
    waiting = await holdfast.until(await holdfast.run(await searching(holdfast, SCRIPTED_MODEL, None, "weather")))

    run = await holdfast.until(await holdfast.submit(waiting, "sunny"))

    assert run.status == "completed"
    assert (await holdfast.texts(run))[-1].endswith("weather returned: sunny")
