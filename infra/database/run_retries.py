"""Failed runs that are taken up again, and the record of when and by whom."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds
from infra.database import threads
from infra.database.run_transitions import RunIds, RunReopened, record_transition
from infra.database.runs import NOUN, to_run, transition
from infra.database.tables import RunRetryRow, RunRow, TurnRow
from infra.ports import EventBatch
from models.errors import NotFound, ThreadLocked, WrongStatus
from models.events import run_event
from models.runs import Run, RunStatus
from models.turns import RetryCommand, RunInput


@dataclass(frozen=True)
class RetryRequest:
    """A run that is queued again, the event of that, and what its workflow is told."""

    run: Run
    events: EventBatch
    command: RetryCommand


async def request(session: AsyncSession, project_id: str, run_id: str, by: str) -> RetryRequest:
    """Queue a failed run for its failed turn, with a new deadline; it holds its thread again from now on.

    Raises `NotFound`, `WrongStatus` where the run has not failed, or failed while it waited for tool outputs,
    `ThreadLocked` where another one is active on the thread.
    """
    await threads.hold_of_run(session, run_id)
    try:
        async with session.begin_nested():
            run = await resume(session, run_id, RunStatus.QUEUED, by, RunRow.project_id == project_id)
    except IntegrityError as error:
        raise ThreadLocked.for_retry() from error
    if run is None:
        status = await session.scalar(select(RunRow.status).where(RunRow.id == run_id, RunRow.project_id == project_id))
        if status is None:
            raise NotFound.of(NOUN, run_id)
        raise WrongStatus.for_retry_of_calls() if status == RunStatus.FAILED else WrongStatus.for_retry(status)
    queued = to_run(run)
    return RetryRequest(queued, EventBatch(run.next_event - 1, [run_event(queued)]), await command_of(session, run))


async def resume(
    session: AsyncSession, run_id: str, to: RunStatus, by: str | None, *guards: ColumnElement[bool], **changes: Any
) -> RunRow | None:
    """Take a failed run up again, with a new deadline, and record it.

    None where it has not failed, failed while it waited for tool outputs (no turn of it is left to be done), or a guard
    forbids it.

    Raises SQLAlchemy's `IntegrityError` where another run is active on the thread.
    """
    has_answered = exists().where(TurnRow.run_id == RunRow.id, TurnRow.turn == RunRow.turn)
    failed = (RunRow.id == run_id, RunRow.status == RunStatus.FAILED, ~has_answered, *guards)
    facts = (RunRow.project_id, RunRow.turn, RunRow.failed_at, RunRow.ended_by, RunRow.last_error)
    failure = (await session.execute(select(*facts).where(*failed))).one_or_none()
    if failure is None:
        return None
    now = now_seconds()
    # Whoever was at the failed turn, and does not know that it failed, has no say in what comes now.
    changes = {"fencing_token": RunRow.fencing_token + 1, **changes}
    run = await transition(
        session,
        run_id,
        to,
        *failed,
        expires_at=now + RunRow.expires_after_seconds,
        ended_by=None,
        failed_at=None,
        last_error=None,
        usage=None,
        retries=RunRow.retries + 1,
        retried_turn=RunRow.turn,
        # That it is queued, or in progress.
        next_event=RunRow.next_event + 1,
        **changes,
    )
    if run is not None:
        record_transition(session, RunReopened(RunIds.of(run)))
        session.add(
            RunRetryRow(
                run_id=run_id,
                number=run.retries,
                project_id=failure.project_id,
                requested_at=now,
                requested_by=by,
                turn=failure.turn,
                failed_at=failure.failed_at,
                failed_execution=failure.ended_by or "",
                error=failure.last_error,
            )
        )
        await session.flush()
    return run


async def command_of(session: AsyncSession, run: RunRow) -> RetryCommand:
    """What the workflow of a run is told whose retry was requested."""
    retry = await session.get_one(RunRetryRow, (run.id, run.retries))
    return RetryCommand(
        run=RunInput.of(to_run(run), run.expires_after_seconds),
        turn=retry.turn,
        failed_execution=retry.failed_execution,
        requested_by=retry.requested_by or "",
    )


async def unexplained(session: AsyncSession, run_id: str, number: int) -> bool:
    """Whether the run's retry of this number is a reset in Temporal whose reason was not recorded yet."""
    query = select(RunRetryRow.number).where(RunRetryRow.run_id == run_id, RunRetryRow.number == number)
    return await session.scalar(query.where(RunRetryRow.requested_by.is_(None))) is not None


async def explain(session: AsyncSession, run_id: str, number: int, by: str) -> None:
    """Record what is known about who reset the run."""
    retry = (RunRetryRow.run_id == run_id, RunRetryRow.number == number)
    await session.execute(update(RunRetryRow).where(*retry).values(requested_by=by))


def is_superseded(run_id: str, execution: str) -> ColumnElement[bool]:
    """Whether a retry has taken the run away from this execution, whose last words may still be on their way."""
    return exists().where(RunRetryRow.run_id == run_id, RunRetryRow.failed_execution == execution)
