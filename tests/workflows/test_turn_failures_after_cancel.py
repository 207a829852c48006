"""A cancel and the failure of the cancelled turn reach the workflow in one task: no stack trace is logged."""

import asyncio
import gc
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.finalization import Finalization
from models.runs import RunStatus
from models.turns import RunInput, RunState, TurnInput, TurnOutcome
from tests.sandbox import SANDBOXED
from workflows.activity_options import control_task_queue
from workflows.run_workflow import RunWorkflow, report_unexpected

pytestmark = pytest.mark.usefixtures("collected")


async def test_turn_failure_after_cancel_is_not_logged(
    temporal: WorkflowEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    task_queue = run_id = f"run_{uuid.uuid4().hex}"
    is_asked, may_fail = asyncio.Event(), asyncio.Event()

    @activity.defn(name="ModelTurn.generate")
    async def fail(turn: TurnInput) -> TurnOutcome:
        is_asked.set()
        await may_fail.wait()
        raise ApplicationError("The provider failed.", non_retryable=True)

    @activity.defn(name="RunEndings.end")
    async def finalize(finalization: Finalization) -> RunState:
        return RunState(RunStatus.CANCELLED, 0, None)

    def workflow_worker() -> Worker:
        runner = SANDBOXED
        return Worker(temporal.client, task_queue=task_queue, workflows=[RunWorkflow], workflow_runner=runner)

    run = RunInput(run_id, "thread_t", "asst_a", "some-model", int(time.time()) + 600, 600)
    async with (
        Worker(temporal.client, task_queue=task_queue, activities=[fail]),
        Worker(temporal.client, task_queue=control_task_queue(task_queue), activities=[finalize]),
    ):
        async with workflow_worker():
            handle = await temporal.client.start_workflow(RunWorkflow.run, run, id=run_id, task_queue=task_queue)
            await is_asked.wait()
        # No worker receives either until the next one runs the workflow.
        await handle.cancel()
        may_fail.set()
        await until_failed(handle)
        async with workflow_worker():
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    gc.collect()

    assert "never retrieved" not in caplog.text


async def until_failed(handle: WorkflowHandle[RunWorkflow, RunStatus]) -> None:
    while (await handle.describe()).raw_description.pending_activities:
        await asyncio.sleep(0.02)


@pytest.fixture
def log_of_unretrieved(collected: None, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[Exception], str]]:
    """Log of a future whose exception is never retrieved."""
    loop = asyncio.new_event_loop()
    caplog.clear()

    async def leave_unretrieved(error: Exception) -> None:
        loop.set_exception_handler(report_unexpected)
        loop.create_future().set_exception(error)

    def logged(error: Exception) -> str:
        loop.run_until_complete(leave_unretrieved(error))
        gc.collect()
        return "\n".join(record.getMessage() for record in caplog.records if record.name == "asyncio")

    yield logged
    loop.close()


def test_unretrieved_activity_failure_is_not_logged(log_of_unretrieved: Callable[[Exception], str]) -> None:
    failure = ActivityError(
        "x", scheduled_event_id=1, started_event_id=2, identity="", activity_type="", activity_id="", retry_state=None
    )

    assert log_of_unretrieved(failure) == ""


def test_other_unretrieved_error_is_logged(log_of_unretrieved: Callable[[Exception], str]) -> None:
    assert "never retrieved" in log_of_unretrieved(ValueError("a bug"))
