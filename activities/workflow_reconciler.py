"""Closes runs that no workflow will close: theirs was terminated, or Temporal lost it."""

import logging
from datetime import UTC, datetime

from temporalio import activity

from activities.heartbeat import heartbeating
from activities.run_finalization import finalize_run
from infra.clock import now_seconds
from infra.database import sweeps
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.ports import EventStream
from infra.run_workflows import RunWorkflows
from models.finalization import Finalization
from models.runs import LastErrorCode, RunStatus

LOST_WORKFLOW = "The run's workflow was ended from outside."

log = logging.getLogger(__name__)


class WorkflowReconciler:
    """Finds runs whose workflow has ended, by Temporal's list of workflows, long before the runs' deadline."""

    def __init__(self, database: Database, workflows: RunWorkflows, event_stream: EventStream) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream

    @activity.defn(name="LostWorkflows.close_runs")
    async def close_runs(self, since: int) -> int:
        """Close the runs whose workflow was terminated since a time (seconds). Returns their number.

        Repeat it from the same time if it fails: closed runs stay closed. A run that cannot be closed fails the
        activity, after the others are closed.
        """
        closed = 0
        failures: list[Exception] = []
        async with heartbeating():
            async for run_ids in self._workflows.ended_from_outside(datetime.fromtimestamp(since, UTC)):
                active = await self._database.read(sweeps.active_among, run_ids)
                for run in active:
                    try:
                        closed += await self._close_if_lost(run)
                    except DatabaseUnavailable:
                        raise
                    except Exception as error:
                        log.exception("run.close_failed", extra={"run_id": run.id, "thread_id": run.thread_id})
                        failures.append(error)
        if failures:
            raise ExceptionGroup("Runs without a workflow could not be closed.", failures)
        return closed

    async def _close_if_lost(self, run: AnyRow) -> bool:
        if await self._workflows.is_running(run.id):
            return False
        await close(self._database, self._workflows, self._event_stream, run)
        return True


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
