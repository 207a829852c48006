"""Closes runs that no workflow will ever close: theirs was terminated, or Temporal lost it."""

import logging
from datetime import UTC, datetime

from temporalio import activity

from activities.heartbeat import heartbeating
from activities.run_finalization import finalize_run
from infra.clock import now_seconds
from infra.database import sweeps
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.database.run_finalization import RunEnd
from infra.database.tables import RunRow
from infra.ports import EventStream
from infra.run_workflows import RunWorkflows
from models.runs import LastError, LastErrorCode, RunStatus

LOST_WORKFLOW = "The run's workflow was ended from outside."

log = logging.getLogger(__name__)


class WorkflowReconciler:
    """Runs that wait for a workflow which is gone, found in Temporal's list long before their deadline."""

    def __init__(self, database: Database, workflows: RunWorkflows, event_stream: EventStream) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream

    @activity.defn(name="LostWorkflows.close_runs")
    async def close_runs(self, since: int) -> int:
        """Close the runs whose workflow was terminated since a time (seconds). Returns how many there were.

        To be repeated from the same time where it fails: what it has closed by then stays closed. A run that cannot be
        closed fails the activity, after the others are closed.
        """
        closed = 0
        failures: list[Exception] = []
        async with heartbeating():
            async for run_ids in self._workflows.ended_from_outside(datetime.fromtimestamp(since, UTC)):
                async with self._database.reading() as session:
                    active = await sweeps.active_among(session, run_ids)
                for run in active:
                    try:
                        closed += await self._close_if_lost(run)
                    except DatabaseUnavailable:
                        raise
                    except Exception as error:
                        log.exception("run.close_failed", extra={"run_id": run.id, "thread_id": run.thread_id})
                        failures.append(error)
        if failures:
            raise ExceptionGroup("Runs whose workflow is gone could not be closed.", failures)
        return closed

    async def _close_if_lost(self, run: RunRow) -> bool:
        if await self._workflows.is_running(run.id):
            return False
        await close(self._database, self._workflows, self._event_stream, run)
        return True


async def close(database: Database, workflows: RunWorkflows, event_stream: EventStream, run: RunRow) -> None:
    """End a run without its workflow, and start the one that waited for it."""
    finalized = await finalize_run(database, event_stream, run.id, _finalization(run))
    await workflows.start_or_leave(finalized.next_run)


def _finalization(run: RunRow) -> RunEnd:
    execution = activity.info().workflow_run_id or ""
    if run.status == RunStatus.CANCELLING:
        return RunEnd(RunStatus.CANCELLED, execution)
    if (run.expires_at or 0) <= now_seconds():
        return RunEnd(RunStatus.EXPIRED, execution)
    return RunEnd(RunStatus.FAILED, execution, LastError(code=LastErrorCode.SERVER_ERROR, message=LOST_WORKFLOW))
