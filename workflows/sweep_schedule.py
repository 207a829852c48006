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


def sweep_id(task_queue: str) -> str:
    """The id of the schedule and of its workflows: one per task queue, as a Temporal namespace may serve several."""
    return f"{task_queue}-sweep"


async def ensure_sweep_schedule(client: Client, task_queue: str, interval: timedelta) -> None:
    """Have one sweep run every `interval`, never two at a time."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(SweepWorkflow.run, id=sweep_id(task_queue), task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )

    def updated(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule)

    try:
        await client.create_schedule(sweep_id(task_queue), schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(sweep_id(task_queue)).update(updated)
