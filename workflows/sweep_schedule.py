"""The schedule of the sweep: created by the first worker that starts, brought up to date by the others."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from workflows.sweep_workflow import SweepWorkflow

SWEEP_ID = "holdfast-sweep"


async def ensure_sweep_schedule(client: Client, task_queue: str, interval: timedelta) -> None:
    """Have one sweep run every `interval`, never two at a time."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(SweepWorkflow.run, id=SWEEP_ID, task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )

    def updated(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule)

    try:
        await client.create_schedule(SWEEP_ID, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(SWEEP_ID).update(updated)
