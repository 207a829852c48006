"""A turn that times out, which no provider can cause. Other outcomes: `tests/api/test_ops_runs.py`."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from infra.run_histories import RunHistories
from models.turns import MODEL_TURN, TurnInput
from tests.resets import closed


@workflow.defn
class OneTurn:
    @workflow.run
    async def run(self, turn: TurnInput) -> None:
        await workflow.execute_activity(
            MODEL_TURN,
            turn,
            start_to_close_timeout=timedelta(seconds=0.2),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@activity.defn(name=MODEL_TURN)
async def never_answers(_: TurnInput) -> None:
    await asyncio.Event().wait()


async def _scheduled_at_ms(handle: WorkflowHandle[Any, Any]) -> int:
    events = (await handle.fetch_history()).events
    [at] = [event.event_time for event in events if event.HasField("activity_task_scheduled_event_attributes")]
    return at.ToMilliseconds()


async def test_timed_out_turn_has_timeout_reason(temporal: WorkflowEnvironment) -> None:
    run_id = f"run_{uuid.uuid4().hex}"
    worker = Worker(
        temporal.client,
        task_queue=run_id,
        workflows=[OneTurn],
        activities=[never_answers],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        turn = TurnInput(run_id, 3)
        handle = await temporal.client.start_workflow(OneTurn.run, turn, id=run_id, task_queue=run_id)
        await closed(handle)

    history = await RunHistories(temporal.client).read(run_id)

    assert (history.workflow.status, history.workflow.execution) == ("failed", handle.first_execution_run_id)
    assert list(history.tries) == [3]
    [failure] = history.tries[3].failures
    assert (failure.attempt, "timeout" in failure.message.lower()) == (1, True)
    assert history.tries[3].began_at_ms == await _scheduled_at_ms(handle)
