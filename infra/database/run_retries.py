"""The resumption of failed runs, and the record of each retry: its time and its author."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, exists, insert, or_, select, update

from infra.clock import now_seconds
from infra.database import run_steps, threads
from infra.database.columns import AnyRow
from infra.database.run_tables import RUN_RETRIES, RUNS, TOOL_CALLS, TURNS
from infra.database.run_transitions import RunIds, RunReopened, record_transition
from infra.database.runs import NOUN, Transition, to_run
from infra.ports import EventBatch
from models import run_events
from models.errors import NotFound, WrongStatus
from models.runs import Run, RunStatus
from models.thread_errors import ThreadLocked
from models.tool_calls import ToolKind
from models.turns import RetryCommand, RunInput

_RUN: BindParameter[Any] = bindparam("run")
_HAS_ANSWERED = exists().where(TURNS.c.run_id == RUNS.c.id, TURNS.c.turn == RUNS.c.turn)
_HAS_CALLS_TO_RUN = exists().where(
    TOOL_CALLS.c.run_id == RUNS.c.id,
    TOOL_CALLS.c.turn == RUNS.c.turn,
    TOOL_CALLS.c.type != ToolKind.FUNCTION.value,
    TOOL_CALLS.c.result.is_(None),
)
_IS_FAILED = (RUNS.c.id == _RUN, RUNS.c.status == RunStatus.FAILED.value, or_(~_HAS_ANSWERED, _HAS_CALLS_TO_RUN))
_FAILURE = select(
    RUNS.c.project_id, RUNS.c.turn, RUNS.c.failed_at, RUNS.c.ended_by, RUNS.c.last_error, RUNS.c.newest_attempt
).where(*_IS_FAILED)
_STATUS = select(RUNS.c.status).where(RUNS.c.id == _RUN, RUNS.c.project_id == bindparam("project"))
_RECORD = insert(RUN_RETRIES)
_THIS_RETRY = (RUN_RETRIES.c.run_id == _RUN, RUN_RETRIES.c.number == bindparam("retry"))
_LOAD = select(RUN_RETRIES).where(*_THIS_RETRY)
_UNEXPLAINED = select(RUN_RETRIES.c.number).where(*_THIS_RETRY, RUN_RETRIES.c.requested_by.is_(None))
_EXPLAIN = update(RUN_RETRIES).where(*_THIS_RETRY).values(requested_by=bindparam("new_requested_by"))


def _resume(to: RunStatus, **values: Any) -> Transition:
    return Transition.of(
        to,
        *_IS_FAILED[1:],
        expires_at=bindparam("now") + RUNS.c.expires_after_seconds,
        ended_by=None,
        failed_at=None,
        last_error=None,
        usage=None,
        retries=RUNS.c.retries + 1,
        retried_turn=RUNS.c.turn,
        newest_attempt=bindparam("token"),
        next_event=RUNS.c.next_event + run_events.RETRIED_COUNT,
        **values,
    )


_RETRY = _resume(RunStatus.QUEUED)
_REOPEN = _resume(RunStatus.IN_PROGRESS, started_at=bindparam("started"))


@dataclass(frozen=True)
class RetryRequest:
    """A run that is queued again, the event of this, and the command to its workflow."""

    run: Run
    events: EventBatch
    command: RetryCommand


def request(connection: Connection, project_id: str, run_id: str, by: str) -> RetryRequest:
    """Queue a failed run for its failed turn, with a new deadline. The run is active on its thread again.

    Raises `NotFound`; `WrongStatus` if the run has not failed, or failed while it waited for tool outputs;
    `ThreadLocked` if another run is active on the thread.
    """
    thread = threads.lock_of_run(connection, run_id)
    failure = connection.execute(_FAILURE, {"run": run_id}).one_or_none()
    if thread is None or failure is None or failure.project_id != project_id:
        raise _refusal(connection, project_id, run_id)
    if threads.active_run_id(connection, thread.id) is not None:
        raise ThreadLocked.for_retry()
    row = _apply(connection, _RETRY, run_id, failure, by)
    if row is None:
        raise _refusal(connection, project_id, run_id)
    run = to_run(row)
    return RetryRequest(run, EventBatch.before(row.next_event, run_events.retried(run)), command_of(connection, row))


def reopen(
    connection: Connection, run_id: str, workflow_run_id: str, fencing_token: int | None = None
) -> AnyRow | None:
    """Resume a failed run whose workflow was reset, with a new deadline; its one event is that it is in progress.

    Returns its row. None if it has not failed, failed in this very execution or while it waited for tool outputs (it
    has no unfinished turn then), or a newer attempt has begun. Raises `ThreadLocked` if another run is active on the
    thread; the transaction must be rolled back then.
    """
    thread = threads.lock_of_run(connection, run_id)
    failure = connection.execute(_FAILURE, {"run": run_id}).one_or_none()
    if thread is None or failure is None or failure.ended_by == workflow_run_id:
        return None
    if fencing_token is not None and failure.newest_attempt > fencing_token:
        return None
    if threads.active_run_id(connection, thread.id) is not None:
        raise ThreadLocked.for_reset(run_id)
    return _apply(connection, _REOPEN, run_id, failure, None, fencing_token, started=now_seconds())


def command_of(connection: Connection, run: AnyRow) -> RetryCommand:
    """The command to the workflow of a run whose retry was requested."""
    retry = connection.execute(_LOAD, {"run": run.id, "retry": run.retries}).one()
    return RetryCommand(
        run=RunInput.of(to_run(run), run.expires_after_seconds),
        turn=retry.turn,
        failed_execution=retry.failed_execution,
        requested_by=retry.requested_by or "",
    )


def is_unexplained(connection: Connection, run_id: str, number: int) -> bool:
    """Whether the run's retry of this number is a reset in Temporal whose reason is not recorded yet."""
    return connection.scalar(_UNEXPLAINED, {"run": run_id, "retry": number}) is not None


def explain(connection: Connection, run_id: str, number: int, by: str) -> None:
    """Record the reason of a reset."""
    connection.execute(_EXPLAIN, {"run": run_id, "retry": number, "new_requested_by": by})


def is_superseded(run_id: BindParameter[Any], execution: BindParameter[Any]) -> ColumnElement[bool]:
    """Whether a retry has superseded this execution, which may still end late."""
    return exists().where(RUN_RETRIES.c.run_id == run_id, RUN_RETRIES.c.failed_execution == execution)


def _apply(
    connection: Connection,
    transition: Transition,
    run_id: str,
    failure: AnyRow,
    by: str | None,
    fencing_token: int | None = None,
    **parameters: Any,
) -> AnyRow | None:
    now = now_seconds()
    # Attempts at the failed turn that began before its failure are superseded.
    token = failure.newest_attempt + 1 if fencing_token is None else fencing_token
    run = transition.apply(connection, run_id, now=now, token=token, **parameters)
    if run is None:
        return None
    # The step of calls that the server was running continues; those with a result are not run again.
    run_steps.reopen(connection, run_id, run.turn, run.expires_at)
    record_transition(connection, RunReopened(RunIds.of(run)))
    connection.execute(
        _RECORD,
        {
            "run_id": run_id,
            "number": run.retries,
            "project_id": failure.project_id,
            "requested_at": now,
            "requested_by": by,
            "turn": failure.turn,
            "failed_at": failure.failed_at,
            "failed_execution": failure.ended_by or "",
            "error": failure.last_error,
        },
    )
    return run


def _refusal(connection: Connection, project_id: str, run_id: str) -> NotFound | WrongStatus:
    status: str | None = connection.scalar(_STATUS, {"run": run_id, "project": project_id})
    if status is None:
        return NotFound.of(NOUN, run_id)
    return WrongStatus.for_retry_of_calls() if status == RunStatus.FAILED else WrongStatus.for_retry(status)
