"""Changes of a run outside its turns: its finalization, and the resumption of a failed run after a reset."""

import logging
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from temporalio import activity

from activities.failures import final_failure
from activities.reset_reasons import ResetReasons
from activities.turn_stream import left_behind
from infra.database import run_finalization, run_retries, runs, turns
from infra.database.engine import Database
from infra.database.run_finalization import Finalized
from infra.database.turns import Begun
from infra.event_stream.publishing import publish
from infra.ports import EventStream
from infra.run_workflows import RunWorkflows
from models.finalization import Finalization
from models.runs import LastErrorCode, RunStatus
from models.step_events import StreamPosition
from models.thread_errors import ThreadLocked
from models.turns import RunState

log = logging.getLogger(__name__)


class RunFinalization:
    def __init__(self, database: Database, workflows: RunWorkflows, event_stream: EventStream) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream
        self._reset_reasons = ResetReasons(database, workflows)

    # Histories of earlier versions have this name.
    @activity.defn(name="RunEndings.end")
    async def finalize(self, finalization: Finalization) -> RunState:
        """Finalize the run unless it has ended already. Returns its state."""
        if finalization.status is RunStatus.INCOMPLETE:
            log.warning("run.history_full", extra={"run_id": finalization.run_id})
        by_this = replace(finalization, by=activity.info().workflow_run_id or "")
        finalized = await finalize_run(self._database, self._event_stream, by_this)
        await self._workflows.start_or_leave(finalized.next_run)
        return finalized.state

    @activity.defn(name="RunEndings.reopen")
    async def reopen(self, run_id: str) -> RunState:
        """Resume a run that failed in an earlier execution of its workflow: this execution is a reset.

        Returns the run's state; a run that failed in this very execution stays failed. Raises a non-retryable
        `ApplicationError` of type `ThreadLocked` if another run is active on the thread.
        """
        try:
            begun, state = await self._database.write(_reopen, run_id, activity.info().workflow_run_id or "")
        except ThreadLocked as error:
            raise final_failure(LastErrorCode.SERVER_ERROR, error) from None
        if begun is not None:
            await publish(self._event_stream, run_id, begun.events)
            await self._reset_reasons.record(run_id, begun.retries)
        return state


async def finalize_run(database: Database, stream: EventStream, finalization: Finalization) -> Finalized:
    """Finalize a run outside its turns, and close the open step of an attempt, which may still be running."""
    run_id = finalization.run_id
    fenced: int | None = None
    while True:
        found = await database.read(_find, run_id)
        if found.is_over or found.newest_attempt == fenced:
            # Another transaction has ended the run, or this execution is superseded.
            return Finalized(found.state)
        fenced = found.newest_attempt
        position = StreamPosition(found.next_event)
        if found.may_emit:
            # Fenced like a newer attempt: from now on the event stream rejects the events of the running attempt.
            following = await stream.fence(run_id, fenced + 1)
            position = await left_behind(stream, run_id, found.next_event, following)
        finalized = await database.write(run_finalization.finalize, finalization, position, None, fenced)
        if finalized.state.status.is_terminal:
            await publish(stream, run_id, finalized.events)
            return finalized


@dataclass(frozen=True)
class _Found:
    """A run before it is finalized. `may_emit`: an attempt at its turn may be running."""

    state: RunState
    is_over: bool
    newest_attempt: int = 0
    next_event: int = 0
    may_emit: bool = False


def _find(connection: Connection, run_id: str) -> _Found:
    row = runs.find_active(connection, run_id)
    if row is None:
        return _Found(runs.state_of(connection, run_id), is_over=True)
    state = RunState(RunStatus(row.status), row.turn, row.expires_at)
    may_emit = state.status in (RunStatus.IN_PROGRESS, RunStatus.CANCELLING) and not turns.is_committed(
        connection, run_id, row.turn
    )
    return _Found(state, False, row.newest_attempt, row.next_event, may_emit)


def _reopen(connection: Connection, run_id: str, execution: str) -> tuple[Begun | None, RunState]:
    row = run_retries.reopen(connection, run_id, execution)
    begun = Begun.of(row, last_message_at=0, has_started=True) if row else None
    return begun, runs.state_of(connection, run_id)
