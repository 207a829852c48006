"""Closes runs that no workflow will ever close: someone terminated theirs, or Temporal lost it."""

from datetime import UTC, datetime

from temporalio import activity

from activities.run_finalization import finalize_run
from infra.clock import now_seconds
from infra.database import sweeps
from infra.database.engine import Database
from infra.database.tables import AnyRow
from infra.ports import EventStream
from infra.run_workflows import RunWorkflows
from models.finalization import Finalization
from models.runs import LastErrorCode, RunStatus

LOST_WORKFLOW = "The run's workflow was ended from outside."


class WorkflowReconciler:
    """Runs that wait for a workflow which is gone, told by Temporal's list and not by a deadline that may be far."""

    def __init__(self, database: Database, workflows: RunWorkflows, event_stream: EventStream) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream

    @activity.defn(name="LostWorkflows.close_runs")
    async def close_runs(self, since: int) -> int:
        """Close the runs whose workflow was terminated since a time (seconds). Returns how many there were.

        To be repeated from the same time where it fails: what it has closed by then stays closed.
        """
        closed = 0
        async for run_ids in self._workflows.ended_from_outside(datetime.fromtimestamp(since, UTC)):
            active = await self._database.read(sweeps.active_among, run_ids)
            for run in active:
                if not await self._workflows.is_running(run.id):
                    await close(self._database, self._workflows, self._event_stream, run)
                    closed += 1
        return closed


async def close(database: Database, workflows: RunWorkflows, event_stream: EventStream, run: AnyRow) -> None:
    """Finalize a run without its workflow, and start the run that waited for it."""
    finalized = await finalize_run(database, event_stream, _finalization(run))
    await workflows.start_or_leave(finalized.next_run)


def _finalization(run: AnyRow) -> Finalization:
    execution = activity.info().workflow_run_id or ""
    if run.status == RunStatus.CANCELLING:
        return Finalization(run.id, RunStatus.CANCELLED, by=execution)
    if (run.expires_at or 0) <= now_seconds():
        return Finalization(run.id, RunStatus.EXPIRED, by=execution)
    return Finalization(run.id, RunStatus.FAILED, LastErrorCode.SERVER_ERROR, LOST_WORKFLOW, by=execution)
