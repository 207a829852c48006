"""Commands that never reached Temporal are found and repeated, so that no run waits forever.

Each test leaves the database as an API process does that died between its commit and its command.
"""

import pytest
from openai.types.beta.threads import Run
from sqlalchemy import update
from temporalio.testing import ActivityEnvironment

from activities import command_reconciler
from activities.command_reconciler import CommandReconciler
from infra.clock import now_ms, now_seconds
from infra.database import assistants, runs, threads
from infra.database.run_tables import RUNS
from infra.run_workflows import RunWorkflows
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, ToolOutput
from models.threads import CreateThreadRequest
from tests.database import writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sweeps import sweep_now

PROJECT = "default"
MINUTE_MS = 60_000


def _age(holdfast: RunningHoldfast, run_id: str, **changes: int) -> None:
    with writing(holdfast.resources.database) as connection:
        connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(**changes))


def _lost_commands(holdfast: RunningHoldfast) -> CommandReconciler:
    resources = holdfast.resources
    return CommandReconciler(
        resources.database, RunWorkflows(resources.temporal, resources.settings), resources.event_stream
    )


async def _sweep(holdfast: RunningHoldfast, run_id: str, **aged: int) -> None:
    """Age the run's row by a minute, then sweep."""
    _age(holdfast, run_id, **(aged or {"status_changed_at": now_ms() - MINUTE_MS}))
    await sweep_now(holdfast)


async def _run_never_started(holdfast: RunningHoldfast, model: str) -> Run:
    assistant_id = await holdfast.assistant(model, "weather")
    with writing(holdfast.resources.database) as connection:
        assistant = assistants.load(connection, PROJECT, assistant_id)
        thread = threads.create(connection, PROJECT, CreateThreadRequest())
        spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant_id), default_expiry_seconds=600)
        run = runs.create(connection, PROJECT, thread.id, spec)
    return await holdfast.client.beta.threads.runs.retrieve(run.id, thread_id=thread.id)


async def test_lost_start_is_repeated(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("lost-start", Says("Here I am."))
    await own_holdfast.start_worker()
    run = await _run_never_started(own_holdfast, "lost-start")

    await _sweep(own_holdfast, run.id)

    assert (await own_holdfast.until(run)).status == "completed"


async def test_lost_submit_is_repeated(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("lost-submit", Calls(("weather", "{}")), Says("Thanks."))
    await own_holdfast.start_worker()
    run = await own_holdfast.until(await own_holdfast.run(await own_holdfast.assistant("lost-submit", "weather")))
    assert run.required_action is not None
    [call] = run.required_action.submit_tool_outputs.tool_calls
    with writing(own_holdfast.resources.database) as connection:
        output = ToolOutput(tool_call_id=call.id, output="sunny")
        runs.accept_outputs(connection, PROJECT, run.thread_id, run.id, [output])

    await _sweep(own_holdfast, run.id)

    assert (await own_holdfast.until(run, "completed")).status == "completed"
    assert await own_holdfast.texts(run) == ["Hello", "Thanks."]


@pytest.mark.any_database
async def test_lost_cancel_is_repeated(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("lost-cancel", Hangs())
    await own_holdfast.start_worker()
    run = await own_holdfast.run(await own_holdfast.assistant("lost-cancel"))
    await own_holdfast.until(run, "in_progress")
    with writing(own_holdfast.resources.database) as connection:
        runs.begin_cancelling(connection, PROJECT, run.thread_id, run.id)

    await _sweep(own_holdfast, run.id)

    assert (await own_holdfast.until(run)).status == "cancelled"


@pytest.mark.any_database
async def test_run_cancelled_before_lost_start_is_closed(own_holdfast: RunningHoldfast) -> None:
    await own_holdfast.start_worker()
    run = await _run_never_started(own_holdfast, "lost-both")
    with writing(own_holdfast.resources.database) as connection:
        runs.begin_cancelling(connection, PROJECT, run.thread_id, run.id)

    await _sweep(own_holdfast, run.id)

    assert (await own_holdfast.until(run)).status == "cancelled"


async def test_run_of_terminated_workflow_expires(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("terminated", Calls(("weather", "{}")))
    await own_holdfast.start_worker()
    run = await own_holdfast.until(await own_holdfast.run(await own_holdfast.assistant("terminated", "weather")))
    await own_holdfast.resources.temporal.get_workflow_handle(run.id).terminate()

    await _sweep(own_holdfast, run.id, expires_at=now_seconds() - 60)

    assert (await own_holdfast.until(run, "expired")).status == "expired"


@pytest.mark.any_database
async def test_queued_run_of_terminated_workflow_fails(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await own_holdfast.run(await own_holdfast.assistant("terminated-queued"))
    await own_holdfast.resources.temporal.get_workflow_handle(run.id).terminate()
    await own_holdfast.start_worker()

    await _sweep(own_holdfast, run.id)
    failed = await own_holdfast.until(run)

    assert failed.status == "failed"
    assert failed.last_error is not None
    assert "ended from outside" in failed.last_error.message
    assert provider.requests("terminated-queued") == []


@pytest.mark.any_database
async def test_sweep_does_not_touch_slow_run(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("slow", Says("At last."))
    run = await own_holdfast.run(await own_holdfast.assistant("slow"))

    await own_holdfast.start_worker()
    await _sweep(own_holdfast, run.id)

    assert (await own_holdfast.until(run)).status == "completed"
    assert await own_holdfast.texts(run) == ["Hello", "At last."]
    assert len(provider.requests("slow")) == 1


@pytest.mark.any_database
async def test_run_rejected_by_temporal_does_not_delay_others(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("behind-refused", Says("My turn."))
    await own_holdfast.start_worker()
    refused = await _run_never_started(own_holdfast, "refused")
    with writing(own_holdfast.resources.database) as connection:
        aged = {"model": "m" * 3_000_000, "status_changed_at": now_ms() - 2 * MINUTE_MS}
        connection.execute(update(RUNS).where(RUNS.c.id == refused.id).values(**aged))
    behind = await _run_never_started(own_holdfast, "behind-refused")

    await _sweep(own_holdfast, behind.id)
    await own_holdfast.until(behind, "completed")
    await _sweep(own_holdfast, refused.id, expires_at=now_seconds() - 60, status_changed_at=now_ms() - MINUTE_MS)

    assert (await own_holdfast.until(refused)).status == "expired"


@pytest.mark.any_database
async def test_run_cancelled_after_termination_is_closed(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("terminated-cancelled", Calls(("weather", "{}")))
    await own_holdfast.start_worker()
    assistant = await own_holdfast.assistant("terminated-cancelled", "weather")
    run = await own_holdfast.until(await own_holdfast.run(assistant))
    await own_holdfast.resources.temporal.get_workflow_handle(run.id).terminate()
    await own_holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)

    await _sweep(own_holdfast, run.id)

    assert (await own_holdfast.until(run, "cancelled")).status == "cancelled"


async def test_run_long_past_deadline_is_closed_despite_running_workflow(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("stuck", Calls(("weather", "{}")))
    await own_holdfast.start_worker()
    run = await own_holdfast.until(await own_holdfast.run(await own_holdfast.assistant("stuck", "weather")))

    await _sweep(own_holdfast, run.id, expires_at=now_seconds() - 600)

    assert (await own_holdfast.until(run, "expired")).status == "expired"


@pytest.mark.any_database
async def test_queued_run_long_past_deadline_is_closed_despite_running_workflow(
    own_holdfast: RunningHoldfast,
) -> None:
    # Without a worker its workflow makes no progress, like one whose tasks fail.
    run = await own_holdfast.run(await own_holdfast.assistant("stuck-queued"))
    _age(own_holdfast, run.id, expires_at=now_seconds() - 600, status_changed_at=now_ms() - MINUTE_MS)

    await ActivityEnvironment().run(_lost_commands(own_holdfast).repeat)

    assert (await own_holdfast.until(run, "expired")).status == "expired"


async def test_lost_start_behind_stuck_runs_is_repeated_by_later_sweep(
    own_holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_reconciler, "PAGE_SIZE", 3)
    monkeypatch.setattr(command_reconciler, "MAX_PAGES", 2)
    assistant = await own_holdfast.assistant("standing-still")
    for number in range(5):
        stuck = await own_holdfast.run(assistant)
        _age(own_holdfast, stuck.id, status_changed_at=now_ms() - (10 - number) * MINUTE_MS)
    lost = await _run_never_started(own_holdfast, "standing-still")
    _age(own_holdfast, lost.id, status_changed_at=now_ms() - MINUTE_MS)
    sweep = _lost_commands(own_holdfast).repeat
    workflows = RunWorkflows(own_holdfast.resources.temporal, own_holdfast.resources.settings)

    first = await ActivityEnvironment().run(sweep)
    is_started_by_first = await workflows.is_running(lost.id)
    second = await ActivityEnvironment().run(sweep, first.overdue_from)

    assert not is_started_by_first
    assert await workflows.is_running(lost.id)
    assert second.overdue_from == 0
