"""Runs whose workflow an operator terminated are closed by the next sweep, long before their deadline."""

import asyncio

import pytest
from openai.types.beta.threads import Run
from temporalio.api.enums.v1 import EventType
from temporalio.testing import ActivityEnvironment

from activities.workflow_reconciler import WorkflowReconciler
from infra import run_workflows
from infra.run_workflows import RunWorkflows
from tests.holdfast import RunningHoldfast
from tests.provider.exchange import Exchange
from tests.provider.replies import Calls, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import reset
from tests.sse import Sent, names
from tests.streams import followed
from tests.sweeps import listed_as_terminated, sweep_now, terminate

CALL = Calls(("weather", "{}"))


class SpeaksUntilDisconnect:
    """Sends one word after another until the client disconnects."""

    async def send(self, exchange: Exchange) -> None:
        for number in range(10_000):
            await exchange.delta({"content": f"word {number} "})
            await asyncio.sleep(0.004)


async def _waiting(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> Run:
    provider.script(model, CALL)
    return await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")), "requires_action")


async def test_runs_of_terminated_workflows_fail_with_next_sweep(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_workflows, "PAGE_SIZE", 1)
    await own_holdfast.start_worker()
    terminated = [await _waiting(own_holdfast, provider, f"terminated-{number}") for number in range(3)]
    untouched = await _waiting(own_holdfast, provider, "not-terminated")
    for run in terminated:
        await terminate(own_holdfast, run)

    await sweep_now(own_holdfast)
    failed = [await own_holdfast.until(run, "failed") for run in terminated]

    assert [run.last_error and run.last_error.code for run in failed] == ["server_error"] * 3
    assert failed[0].last_error is not None
    assert "ended from outside" in failed[0].last_error.message
    assert (await own_holdfast.until(untouched)).status == "requires_action"


@pytest.mark.any_database
async def test_model_call_of_terminated_workflow_is_dropped_and_run_fails(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("terminated-speaking", Hangs(after="Well"))
    await own_holdfast.start_worker()
    run = await own_holdfast.run(await own_holdfast.assistant("terminated-speaking"))
    await provider.requested("terminated-speaking")

    await terminate(own_holdfast, run)
    await sweep_now(own_holdfast)

    assert (await own_holdfast.until(run, "failed")).last_error is not None
    async with asyncio.timeout(10):
        await provider.disconnected("terminated-speaking")


@pytest.mark.any_database
async def test_stream_of_run_closed_during_answer_ends(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("terminated-in-stream", SpeaksUntilDisconnect())
    await own_holdfast.start_worker()
    resources = own_holdfast.resources
    sweep = WorkflowReconciler(
        resources.database, RunWorkflows(resources.temporal, resources.settings), resources.event_stream
    )
    seen: list[Sent] = []

    async with followed(own_holdfast, await own_holdfast.assistant("terminated-in-stream")) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 30:
                run = next(event.json for event in seen if event.name == "thread.run.created")
                await resources.temporal.get_workflow_handle(run["id"]).terminate()
                # At once, while the attempt still streams: its next heartbeat reports the termination.
                async with asyncio.timeout(20):
                    while not await ActivityEnvironment().run(sweep.close_runs, run["created_at"] - 60):
                        await asyncio.sleep(0.005)

    assert names(seen)[-4:] == ["message.incomplete", "run.step.failed", "run.failed", "done"]


async def test_run_enqueued_behind_terminated_run_starts(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("terminated-next", Says("My turn."))
    await own_holdfast.start_worker()
    run = await _waiting(own_holdfast, provider, "terminated-holder")
    behind = await own_holdfast.client.beta.threads.runs.create(
        run.thread_id,
        assistant_id=await own_holdfast.assistant("terminated-next"),
        extra_body={"on_active_run": "enqueue"},
    )

    await terminate(own_holdfast, run)
    await sweep_now(own_holdfast)

    assert (await own_holdfast.until(behind, "completed")).status == "completed"


@pytest.mark.any_database
async def test_run_reset_while_waiting_is_not_closed(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    """A reset terminates the execution that it replaces."""
    await own_holdfast.start_worker()
    terminated = await _waiting(own_holdfast, provider, "terminated-before-reset")
    was_reset = await _waiting(own_holdfast, provider, "reset-while-waiting")
    # The list begins with the latest: once the other run has failed, this one has been checked.
    await terminate(own_holdfast, terminated)
    await reset(own_holdfast, was_reset, await _first_task(own_holdfast, was_reset))
    await listed_as_terminated(own_holdfast, was_reset.id)

    await sweep_now(own_holdfast)
    await own_holdfast.until(terminated, "failed")

    assert (await own_holdfast.until(was_reset)).status == "requires_action"
    provider.script("reset-while-waiting", Says("Thanks."))
    assert (await own_holdfast.until(await own_holdfast.submit(was_reset, "sunny"), "completed")).status == "completed"


async def _first_task(holdfast: RunningHoldfast, run: Run) -> int:
    events = holdfast.resources.temporal.get_workflow_handle(run.id).fetch_history_events()
    return await anext(
        event.event_id async for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )
