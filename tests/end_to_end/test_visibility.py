"""Runs in the Temporal UI, read through Temporal's API."""

import asyncio
import base64
import json
import re
from pathlib import Path

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from openai.types.beta.threads import Run
from temporalio.api.enums.v1 import EventType

from infra.temporal import ASSISTANT_ID, MODEL, RUN_STATUS, THREAD_ID
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import closed

SEARCHES = (Path(__file__).parents[2] / "docs" / "temporal-ui.md").read_text()

pytestmark = pytest.mark.any_database


async def _listed(holdfast: RunningHoldfast, run: Run, status: str) -> None:
    """Wait until Temporal lists the run under its assistant, thread, model and this status."""
    query = " AND ".join(
        f"{key.name} = '{value}'"
        for key, value in {
            ASSISTANT_ID: run.assistant_id,
            THREAD_ID: run.thread_id,
            MODEL: run.model,
            RUN_STATUS: status,
        }.items()
    )
    await _found(holdfast, query, [run.id])


async def _found(holdfast: RunningHoldfast, query: str, run_ids: list[str]) -> None:
    """Wait until Temporal lists exactly these for `query`."""
    async with asyncio.timeout(20):
        while [found.id async for found in holdfast.resources.temporal.list_workflows(query)] != run_ids:
            await asyncio.sleep(0.05)


async def _summaries(holdfast: RunningHoldfast, run: Run) -> list[str]:
    """The summaries of the activities and timers of the run's workflow, once it is closed."""
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    await closed(handle)
    return [
        _text(MessageToDict(event.user_metadata)["summary"]["data"])
        async for event in handle.fetch_history_events()
        if event.event_type in (EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED)
    ]


async def test_runs_are_found_by_assistant_thread_model_and_status(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("visible", Calls(("weather", "{}")), Says("Thanks."))
    run = await holdfast.run(await holdfast.assistant("visible", "weather"))

    waiting = await holdfast.until(run, "requires_action")
    await _listed(holdfast, run, "requires_action")
    await holdfast.until(await holdfast.submit(waiting, "sunny"), "completed")
    await _listed(holdfast, run, "completed")


async def test_model_name_is_truncated_to_limit_of_temporal_on_postgres(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    longest = "m" * 256
    provider.script(longest, Says("Hi."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant(longest)))

    found = await holdfast.resources.temporal.get_workflow_handle(run.id).describe()

    assert (run.status, found.typed_search_attributes[MODEL]) == ("completed", longest[:255])


async def test_activities_and_timers_have_summaries(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("summaries", Calls(("weather", "{}")), Says("Thanks."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("summaries", "weather")))
    # Then the timer has been started: outputs that arrive earlier need none.
    await _listed(holdfast, run, "requires_action")
    await holdfast.until(await holdfast.submit(run, "sunny"), "completed")

    description = await holdfast.resources.temporal.get_workflow_handle(run.id).describe()

    assert await description.static_summary() == f"{run.assistant_id} on {run.thread_id}"
    assert await _summaries(holdfast, run) == [
        "turn 0 · summaries",
        "turn 0 · tool outputs",
        "turn 1 · summaries",
    ]


async def test_failed_runs_are_found_by_model_and_status(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("visibly-failed", Fails(401, "No such key."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("visibly-failed")), "failed")
    query = 'RunStatus = "failed" AND Model = "visibly-failed"'

    await _found(holdfast, query, [run.id])
    await _found(holdfast, f'{query} AND ExecutionStatus = "Failed"', [run.id])

    assert await _summaries(holdfast, run) == ["turn 0 · visibly-failed", "end · failed"]


async def test_failed_workflow_shows_the_words_of_the_provider_and_no_code(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("visibly-refused", Fails(401, "No such key."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("visibly-refused")), "failed")
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    await closed(handle)

    events = [event async for event in handle.fetch_history_events()]

    failure = events[-1].workflow_execution_failed_event_attributes.failure
    [attempt] = [
        event.activity_task_failed_event_attributes.failure
        for event in events
        if event.HasField("activity_task_failed_event_attributes")
    ]
    assert run.last_error is not None
    assert failure.message == f"{run.last_error.code}: {run.last_error.message}"
    assert "No such key." in failure.message
    assert (failure.stack_trace, failure.HasField("cause"), attempt.stack_trace) == ("", False, "")


async def test_retried_run_is_found_by_its_new_status(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("visibly-retried", Fails(401, "No such key."), Says("Hi."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("visibly-retried")), "failed")
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    # Its row fails first: an execution that is reset before it has set its status would never be listed as failed.
    await closed(handle)
    async with httpx.AsyncClient(base_url=holdfast.url) as http:
        await http.post(f"/ops/runs/{run.id}/retry")
    await holdfast.until(run, "completed")

    await _found(holdfast, 'RunStatus = "completed" AND Model = "visibly-retried"', [run.id])
    # The failed execution is unchanged.
    await _found(holdfast, 'RunStatus = "failed" AND Model = "visibly-retried"', [run.id])

    assert await (await handle.describe()).static_summary() == f"{run.assistant_id} on {run.thread_id}"
    assert await _summaries(holdfast, run) == ["turn 0 · visibly-retried"]


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)\n```", SEARCHES, re.DOTALL))
async def test_temporal_accepts_every_documented_search(holdfast: RunningHoldfast, query: str) -> None:
    assert isinstance((await holdfast.resources.temporal.count_workflows(query)).count, int)


async def test_history_has_no_content(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    secret = "the cat is in the bag"
    provider.script("discreet", Calls(("weather", f'{{"city": "{secret}"}}')), Says(secret))
    assistant = await holdfast.assistant("discreet", "weather", instructions=secret)
    run = await holdfast.until(await holdfast.run(assistant, secret))
    await holdfast.until(await holdfast.submit(run, secret), "completed")

    history = await holdfast.resources.temporal.get_workflow_handle(run.id).fetch_history()

    assert secret not in history.to_json()
    assert all(secret.encode() not in event.SerializeToString() for event in history.events)


def _text(payload: str) -> str:
    return str(json.loads(base64.b64decode(payload)))
