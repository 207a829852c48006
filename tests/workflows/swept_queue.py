"""A task queue with a sweep workflow and stub activities."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.command_reconciler import SweepReport
from activities.ingest_reconciler import IngestReport
from activities.object_reconciler import ObjectSweep
from tests.sandbox import SANDBOXED
from workflows.activity_options import control_task_queue
from workflows.sweep import start_sweep, sweep_id
from workflows.sweep_workflow import SweepWorkflow

A_DAY = 86_400
TIMER_STARTED = EventType.EVENT_TYPE_TIMER_STARTED


class SweptQueue:
    """A task queue whose sweeps fail in the given rounds. `overdue_from` and `looked_from`: where each round began."""

    def __init__(self, client: Client, repeats_fail: set[int], closes_fail: set[int], objects_fail: set[int]) -> None:
        self.client = client
        self.task_queue = f"queue-{uuid.uuid4().hex}"
        self.overdue_from: list[int] = []
        self.looked_from: list[int] = []
        self.objects_after: list[str | None] = []
        self.workflow_runs: list[str | None] = []
        self._repeats_fail = repeats_fail
        self._closes_fail = closes_fail
        self._objects_fail = objects_fail

    @property
    def sweep(self) -> WorkflowHandle[SweepWorkflow, None]:
        return self.client.get_workflow_handle_for(SweepWorkflow.run, sweep_id(self.task_queue))

    @activity.defn(name="LostCommands.repeat")
    async def repeat(self, overdue_from: int) -> SweepReport:
        self.overdue_from.append(overdue_from)
        self.workflow_runs.append(activity.info().workflow_run_id)
        if len(self.overdue_from) in self._repeats_fail:
            raise ApplicationError("The rows cannot be read.", non_retryable=True)
        return SweepReport(overdue_from=overdue_from + 1)

    @activity.defn(name="LostWorkflows.close_runs")
    async def close_runs(self, since: int) -> int:
        self.looked_from.append(since)
        if len(self.looked_from) in self._closes_fail:
            raise ApplicationError("Temporal's list is out of order.", non_retryable=True)
        return 0

    @activity.defn(name="Ingestion.reconcile")
    async def reconcile_ingestion(self) -> IngestReport:
        return IngestReport()

    @activity.defn(name="Objects.reconcile")
    async def reconcile_objects(self, last: ObjectSweep | None) -> ObjectSweep:
        self.objects_after.append(last.objects_after if last else None)
        if len(self.objects_after) in self._objects_fail:
            raise ApplicationError("The bucket does not answer.", non_retryable=True)
        return ObjectSweep(objects_after=f"key {len(self.objects_after)}")

    async def swept(self, times: int) -> None:
        """Wait until the activities of `times` sweeps have ended."""
        await until(lambda: len(self.objects_after) >= times)

    async def sweep_times(self, times: int) -> None:
        """Run `times` sweeps; the first begins with the workflow."""
        await start_sweep(self.client, self.task_queue, A_DAY)
        for number in range(1, times):
            await self.swept(number)
            await self.sweep.signal(SweepWorkflow.sweep_every)
        await self.swept(times)

    async def timers(self) -> list[int]:
        """Length of the timer after each round, in seconds."""
        events = [event async for event in self.sweep.fetch_history_events()]
        started = [event.timer_started_event_attributes for event in events if event.event_type == TIMER_STARTED]
        return [timer.start_to_fire_timeout.seconds for timer in started]

    async def until_waiting(self) -> None:
        """Wait until the sweep has a timer for each round."""
        async with asyncio.timeout(20):
            while len(await self.timers()) < len(self.objects_after):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def swept_queue(
    environment: WorkflowEnvironment,
    repeats_fail: set[int] | None = None,
    closes_fail: set[int] | None = None,
    objects_fail: set[int] | None = None,
) -> AsyncIterator[SweptQueue]:
    queue = SweptQueue(environment.client, repeats_fail or set(), closes_fail or set(), objects_fail or set())
    control = control_task_queue(queue.task_queue)
    async with (
        Worker(
            queue.client,
            task_queue=control,
            activities=[queue.repeat, queue.close_runs, queue.reconcile_ingestion, queue.reconcile_objects],
        ),
        Worker(queue.client, task_queue=queue.task_queue, workflows=[SweepWorkflow], workflow_runner=SANDBOXED),
    ):
        yield queue
        if (await queue.sweep.describe()).status is WorkflowExecutionStatus.RUNNING:
            await queue.sweep.terminate()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)
