"""What an operator sees of runs in the Temporal UI, read back through Temporal's own API."""

import asyncio
import base64
import json

from google.protobuf.json_format import MessageToDict
from openai.types.beta.threads import Run
from temporalio.api.enums.v1 import EventType

from infra.temporal import ASSISTANT_ID, MODEL, RUN_STATUS, THREAD_ID
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider


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
    async with asyncio.timeout(20):
        while [found.id async for found in holdfast.resources.temporal.list_workflows(query)] != [run.id]:
            await asyncio.sleep(0.05)


async def test_runs_are_found_by_assistant_thread_model_and_status(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("visible", Calls(("weather", "{}")), Says("Thanks."))
    run = await holdfast.run(await holdfast.assistant("visible", "weather"))

    waiting = await holdfast.until(run, "requires_action")
    await _listed(holdfast, run, "requires_action")
    await holdfast.until(await holdfast.submit(waiting, "sunny"), "completed")
    await _listed(holdfast, run, "completed")


async def test_runs_activities_and_timers_say_what_they_are(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("summaries", Calls(("weather", "{}")), Says("Thanks."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("summaries", "weather")))
    await holdfast.until(await holdfast.submit(run, "sunny"), "completed")
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)

    description = await handle.describe()
    summaries = [
        MessageToDict(event.user_metadata)["summary"]["data"]
        async for event in handle.fetch_history_events()
        if event.event_type in (EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED)
    ]

    assert await description.static_summary() == f"{run.assistant_id} on {run.thread_id}"
    assert [_text(summary) for summary in summaries] == [
        "turn 0 · summaries",
        "turn 0 · tool outputs",
        "turn 1 · summaries",
    ]


async def test_history_holds_no_content(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
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
