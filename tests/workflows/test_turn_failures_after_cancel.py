"""A cancel and the failure of the turn it was meant for, which reach the workflow at the same time: no stack trace."""

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


async def test_a_failure_that_a_cancel_overtakes_is_no_error_of_the_program(
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

    def taking_workflows() -> Worker:
        runner = SANDBOXED
        return Worker(temporal.client, task_queue=task_queue, workflows=[RunWorkflow], workflow_runner=runner)

    run = RunInput(run_id, "thread_t", "asst_a", "some-model", int(time.time()) + 600, 600)
    async with (
        Worker(temporal.client, task_queue=task_queue, activities=[fail]),
        Worker(temporal.client, task_queue=control_task_queue(task_queue), activities=[finalize]),
    ):
        async with taking_workflows():
            handle = await temporal.client.start_workflow(RunWorkflow.run, run, id=run_id, task_queue=task_queue)
            await is_asked.wait()
        # Nobody hears of either until the next worker takes the workflow up.
        await handle.cancel()
        may_fail.set()
        await until_failed(handle)
        async with taking_workflows():
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    gc.collect()

    assert "never retrieved" not in caplog.text


async def until_failed(handle: WorkflowHandle[RunWorkflow, RunStatus]) -> None:
    while (await handle.describe()).raw_description.pending_activities:
        await asyncio.sleep(0.02)


@pytest.fixture
def forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[Exception], str]]:
    """What is logged of a future whose exception nobody retrieves."""
    loop = asyncio.new_event_loop()

    async def forget(error: Exception) -> None:
        loop.set_exception_handler(report_unexpected)
        loop.create_future().set_exception(error)

    def logged(error: Exception) -> str:
        loop.run_until_complete(forget(error))
        gc.collect()
        return "\n".join(record.getMessage() for record in caplog.records if record.name == "asyncio")

    yield logged
    loop.close()


def test_an_activitys_failure_is_expected(forgotten: Callable[[Exception], str]) -> None:
    failure = ActivityError(
        "x", scheduled_event_id=1, started_event_id=2, identity="", activity_type="", activity_id="", retry_state=None
    )

    assert forgotten(failure) == ""


def test_any_other_error_is_still_reported(forgotten: Callable[[Exception], str]) -> None:
    assert "never retrieved" in forgotten(ValueError("a bug"))
