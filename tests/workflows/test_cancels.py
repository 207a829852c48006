"""An operator's cancel ends the run as cancelled, whatever the outcome of the turn in progress."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from infra.database.outages import DatabaseUnavailable
from models.finalization import Finalization
from models.runs import RunStatus
from models.turns import NextStep, RunInput, RunState, TurnInput, TurnOutcome
from tests.resets import finished_tasks, reset_workflow
from tests.sandbox import SANDBOXED
from workflows.activity_options import control_task_queue
from workflows.run_workflow import RunWorkflow
from workflows.worker import MAX_HEARTBEAT_THROTTLE


async def fails() -> TurnOutcome:
    """Fails as a turn does whose worker is lost."""
    raise ApplicationError("No more of it was heard.", non_retryable=True)


async def asks_for_outputs() -> TurnOutcome:
    return TurnOutcome(NextStep.AWAIT_TOOL_OUTPUTS, RunStatus.REQUIRES_ACTION, None)


@activity.defn(name="ModelTurn.generate")
async def generate_failing(turn: TurnInput) -> TurnOutcome:
    return await fails()


@pytest.mark.parametrize("turn_result", [fails, asks_for_outputs])
async def test_cancelled_run_ends_cancelled_whatever_its_turns_outcome(
    temporal: WorkflowEnvironment, turn_result: Callable[[], Awaitable[TurnOutcome]]
) -> None:
    is_asked, is_cancelled = asyncio.Event(), asyncio.Event()
    finalizations: list[Finalization] = []

    @activity.defn(name="ModelTurn.generate")
    async def generate(turn: TurnInput) -> TurnOutcome:
        is_asked.set()
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            is_cancelled.set()
            return await turn_result()

    async with _running(temporal, generate, _recording(finalizations)) as handle:
        await is_asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert is_cancelled.is_set()
    assert [finalization.status for finalization in finalizations] == [RunStatus.CANCELLED]
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_cancel_does_not_interrupt_finalization(temporal: WorkflowEnvironment) -> None:
    is_finalizing, is_cancelled = asyncio.Event(), asyncio.Event()
    finalizations: list[Finalization] = []

    @activity.defn(name="RunEndings.end")
    async def finalize(finalization: Finalization) -> RunState:
        if activity.info().attempt == 1:
            is_finalizing.set()
            await is_cancelled.wait()
            raise DatabaseUnavailable("gone")
        finalizations.append(finalization)
        return RunState(finalization.status, 0, None)

    async with _running(temporal, generate_failing, finalize) as handle:
        await is_finalizing.wait()
        await _cancel(handle)
        is_cancelled.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert [finalization.status for finalization in finalizations] == [RunStatus.FAILED]
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED


async def test_run_cancelled_while_reopened_ends_cancelled(temporal: WorkflowEnvironment) -> None:
    is_reopening, is_cancelled = asyncio.Event(), asyncio.Event()
    finalizations: list[Finalization] = []

    @activity.defn(name="RunEndings.reopen")
    async def reopen(_run_id: str) -> RunState:
        is_reopening.set()
        await is_cancelled.wait()
        return RunState(RunStatus.IN_PROGRESS, 0, int(time.time()) + 600)

    async with _running(temporal, generate_failing, _recording(finalizations), reopen) as handle:
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        first, *_ = await finished_tasks(handle)
        await reset_workflow(temporal.client, handle.id, first)
        again = temporal.client.get_workflow_handle(handle.id)
        await is_reopening.wait()
        await _cancel(again)
        is_cancelled.set()
        with pytest.raises(WorkflowFailureError):
            await again.result()

    assert [finalization.status for finalization in finalizations] == [
        RunStatus.FAILED,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
    ]
    assert (await again.describe()).status is WorkflowExecutionStatus.CANCELED


def _recording(finalizations: list[Finalization]) -> Callable[[Finalization], Awaitable[RunState]]:
    """The activity that finalizes runs, with the status of its input."""

    @activity.defn(name="RunEndings.end")
    async def finalize(finalization: Finalization) -> RunState:
        finalizations.append(finalization)
        return RunState(finalization.status, 0, None)

    return finalize


@asynccontextmanager
async def _running(
    temporal: WorkflowEnvironment, generate: Callable[..., Any], *short: Callable[..., Any]
) -> AsyncIterator[WorkflowHandle[RunWorkflow, RunStatus]]:
    """A run's workflow with these activities."""
    task_queue = run_id = f"run_{uuid.uuid4().hex}"
    run = RunInput(run_id, "thread_t", "asst_a", "some-model", int(time.time()) + 600, 600)
    async with (
        Worker(temporal.client, task_queue=control_task_queue(task_queue), activities=short),
        Worker(
            temporal.client,
            task_queue=task_queue,
            workflows=[RunWorkflow],
            activities=[generate],
            workflow_runner=SANDBOXED,
            max_heartbeat_throttle_interval=MAX_HEARTBEAT_THROTTLE,
        ),
    ):
        yield await temporal.client.start_workflow(RunWorkflow.run, run, id=run_id, task_queue=task_queue)


async def _cancel(handle: WorkflowHandle[Any, Any]) -> None:
    """Cancel the workflow and wait until it has received the cancellation."""
    tasks_before = await finished_tasks(handle)
    await handle.cancel()
    while await finished_tasks(handle) == tasks_before:
        await asyncio.sleep(0.05)
