"""What becomes of a run outside its turns: it is ended, or a failed one is taken up again."""

import logging

from temporalio import activity

from activities.failures import final_failure
from activities.reset_reasons import ResetReasons
from activities.turn_stream import left_behind
from infra.database import run_finalization, runs, turns
from infra.database.engine import Database
from infra.database.run_finalization import Finalized, RunEnd
from infra.database.tables import RunRow
from infra.event_stream.publishing import publish
from infra.ports import EventStream
from infra.run_workflows import RunWorkflows
from models.errors import ThreadLocked
from models.runs import LastError, LastErrorCode, RunStatus
from models.step_events import StreamPosition
from models.turns import Finalization, RunState

GENERIC_FAILURE = "Sorry, something went wrong."
log = logging.getLogger(__name__)


class RunFinalization:
    def __init__(self, database: Database, workflows: RunWorkflows, event_stream: EventStream) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream
        self._reset_reasons = ResetReasons(database, workflows)

    @activity.defn(name="RunEndings.end")
    async def finalize(self, finalization: Finalization) -> RunState:
        """End the run unless it has ended already. Returns how it stands then."""
        error = None
        if finalization.status is RunStatus.FAILED:
            code = finalization.error_code or LastErrorCode.SERVER_ERROR
            error = LastError(code=code, message=finalization.error_message or GENERIC_FAILURE)
        elif finalization.status is RunStatus.INCOMPLETE:
            log.warning("run.history_full", extra={"run_id": finalization.run_id})
        execution = activity.info().workflow_run_id or ""
        how = RunEnd(finalization.status, execution, error, finalization.incomplete_reason)
        finalized = await finalize_run(self._database, self._event_stream, finalization.run_id, how)
        await self._workflows.start_or_leave(finalized.next_run)
        return finalized.state

    @activity.defn(name="RunEndings.reopen")
    async def reopen(self, run_id: str) -> RunState:
        """Take up a run that failed in an execution of its workflow before this one, which is a reset of it.

        Returns how the run stands then; one that failed in this very execution stays failed. Raises a non-retryable
        `ApplicationError` of type `ThreadLocked` where another run holds the thread.
        """
        try:
            async with self._database.transaction() as session:
                begun = await turns.reopen(session, run_id, activity.info().workflow_run_id or "")
                state = await runs.state_of(session, run_id)
        except ThreadLocked as error:
            raise final_failure(LastErrorCode.SERVER_ERROR, error) from None
        if begun is not None:
            await publish(self._event_stream, run_id, begun.events)
            await self._reset_reasons.record(run_id, begun.run.retries)
        return state


async def finalize_run(database: Database, stream: EventStream, run_id: str, finalization: RunEnd) -> Finalized:
    """End a run outside its turns, and close what an attempt left open in its stream, which may not know of it yet."""
    fencing_token: int | None = None
    while True:
        async with database.reading() as session:
            run = await runs.find_active(session, run_id)
            state = await runs.state_of(session, run_id)
            may_speak = run is not None and await turns.is_under_way(session, run)
        if run is None or run.fencing_token == fencing_token:
            # Someone else has ended it, or taken it away from whoever ends it here.
            return Finalized(state)
        fencing_token = run.fencing_token
        position = StreamPosition(run.next_event)
        if may_speak:
            # As if an attempt came after the one that may be under way: from now on that shows nothing more.
            position = await left_behind(stream, run, await stream.fence(run_id, fencing_token + 1))
        async with database.transaction() as session:
            finalized = await run_finalization.finalize(
                session, run_id, finalization, position, None, RunRow.fencing_token == fencing_token
            )
        if finalized.state.status.is_terminal:
            await publish(stream, run_id, finalized.events)
            return finalized
