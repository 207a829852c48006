"""One sweep as older versions started it, from a Temporal Schedule. `sweep_workflow.py` replaces it.

Kept for executions that an older version began and this one ends.
"""

from dataclasses import replace
from datetime import datetime

from temporalio import workflow

from activities.command_reconciler import CommandReconciler, SweepReport
from activities.workflow_reconciler import WorkflowReconciler
from workflows import activity_options


@workflow.defn(name="SweepWorkflow")
class ScheduledSweepWorkflow:
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
            last.looked_until or _seconds(began - activity_options.SWEEP_FIRST_LOOK_BACK),
            task_queue=control,
            start_to_close_timeout=activity_options.SWEEP_TIMEOUT,
            schedule_to_close_timeout=activity_options.SWEEP_TIMEOUT,
        )
        return replace(
            report, closed=report.closed + closed, looked_until=_seconds(began - activity_options.SWEEP_LIST_DELAY)
        )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
