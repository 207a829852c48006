"""Looks for lost commands and lost workflows at a steady beat, driven by a Temporal Schedule."""

from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow

from activities.command_reconciler import CommandReconciler, SweepReport
from activities.workflow_reconciler import WorkflowReconciler
from workflows import activity_options

FIRST_LOOK_BACK = timedelta(hours=1)
LIST_DELAY = timedelta(minutes=1)
"""Temporal's list of workflows lags behind, and its clock is not ours."""


@workflow.defn(name="SweepWorkflow")
class SweepWorkflow:
    """One sweep. It fails rather than retries for long: the next one comes soon, and looks as far back."""

    @workflow.run
    async def run(self) -> SweepReport:
        began = workflow.now()
        last = workflow.get_last_completion_result(SweepReport) or SweepReport()
        control = activity_options.control_task_queue(workflow.info().task_queue)
        report = await workflow.execute_activity_method(
            CommandReconciler.repeat,
            last.overdue_from,
            task_queue=control,
            start_to_close_timeout=activity_options.SWEEP_TIMEOUT,
            schedule_to_close_timeout=activity_options.SWEEP_TIMEOUT,
        )
        closed = await workflow.execute_activity_method(
            WorkflowReconciler.close_runs,
            last.looked_until or _seconds(began - FIRST_LOOK_BACK),
            task_queue=control,
            start_to_close_timeout=activity_options.SWEEP_TIMEOUT,
            schedule_to_close_timeout=activity_options.SWEEP_TIMEOUT,
        )
        return replace(report, closed=report.closed + closed, looked_until=_seconds(began - LIST_DELAY))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
