"""An operator's cancel counts whatever the turn comes to that it was meant for."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from models.runs import RunStatus
from models.turns import NextStep, RunEnding, RunInput, Standing, TurnInput, TurnOutcome
from workflows.activity_options import short_task_queue
from workflows.run_workflow import RunWorkflow
from workflows.worker import SANDBOX


async def fails() -> TurnOutcome:
    """As a turn does whose worker is gone."""
    raise ApplicationError("No more of it was heard.", non_retryable=True)


async def asks_for_outputs() -> TurnOutcome:
    return TurnOutcome(NextStep.AWAIT_TOOL_OUTPUTS, RunStatus.REQUIRES_ACTION, None)


@pytest.mark.parametrize("comes_to", [fails, asks_for_outputs])
async def test_a_cancelled_run_ends_cancelled_whatever_its_turn_comes_to(
    temporal: WorkflowEnvironment, comes_to: Callable[[], Awaitable[TurnOutcome]]
) -> None:
    is_asked, is_cancelled = asyncio.Event(), asyncio.Event()
    endings: list[RunEnding] = []

    @activity.defn(name="ModelTurn.generate")
    async def generate(turn: TurnInput) -> TurnOutcome:
        is_asked.set()
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            is_cancelled.set()
            return await comes_to()

    @activity.defn(name="RunEndings.end")
    async def end(ending: RunEnding) -> Standing:
        endings.append(ending)
        return Standing(ending.status, 0, None)

    task_queue = run_id = f"run_{uuid.uuid4().hex}"
    run = RunInput(run_id, "thread_t", "asst_a", "some-model", int(time.time()) + 600, 600)
    async with (
        Worker(temporal.client, task_queue=short_task_queue(task_queue), activities=[end]),
        Worker(
            temporal.client,
            task_queue=task_queue,
            workflows=[RunWorkflow],
            activities=[generate],
            workflow_runner=SandboxedWorkflowRunner(restrictions=SANDBOX),
        ),
    ):
        handle = await temporal.client.start_workflow(RunWorkflow.run, run, id=run_id, task_queue=task_queue)
        await is_asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert is_cancelled.is_set()
    assert [ending.status for ending in endings] == [RunStatus.CANCELLED]
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
