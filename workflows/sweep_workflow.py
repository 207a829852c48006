"""Looks for lost commands at a steady beat, driven by a Temporal Schedule."""

from temporalio import workflow

from activities.lost_commands import LostCommands, SweepReport
from workflows import activity_options


@workflow.defn(name="SweepWorkflow")
class SweepWorkflow:
    """One sweep. It fails rather than retries for long: the next one comes soon."""

    @workflow.run
    async def run(self) -> SweepReport:
        return await workflow.execute_activity_method(
            LostCommands.repeat,
            task_queue=activity_options.short_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.SWEEP_TIMEOUT,
            schedule_to_close_timeout=activity_options.SWEEP_TIMEOUT,
        )
