"""Finalizes a run that no complete answer ended: cancelled, failed, expired, out of tokens. Closes its open steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Update, bindparam, select, update

from infra.clock import now_seconds
from infra.database import files, message_counts, messages, run_retries, run_steps, thread_queue, threads
from infra.database.columns import AnyRow
from infra.database.run_tables import RUN_STEPS, RUNS
from infra.database.runs import IS_NEWEST, Transition, deadline_of, state_of, to_run
from infra.database.token_usage import used_tokens
from infra.ports import NO_EVENTS, EventBatch
from models import run_events
from models.aborted_steps import abort_events
from models.answered_steps import EmittedStep, answered_steps, calls_step, emit, events_of, tool_calls
from models.answers import Answer
from models.events import Event, step_closed
from models.finalization import CUT_SHORT, UNANSWERED, Finalization, step_error
from models.run_steps import StepStatus, StepType
from models.runs import Run, RunStatus, Usage
from models.step_events import STREAM_START, StreamPosition
from models.turn_attempts import TurnAttempt
from models.turns import RunState

_RUN: BindParameter[Any] = bindparam("run")
_SET_EVENTS = (
    update(RUNS)
    .where(RUNS.c.id == _RUN)
    .values(next_event=bindparam("new_next_event"), final_event=bindparam("new_final_event"))
)
_FIND_WAITING = select(RUNS.c.id).where(RUNS.c.id == _RUN, RUNS.c.waiting)
_RELOAD = select(RUNS).where(RUNS.c.id == _RUN)


@dataclass(frozen=True)
class Partial:
    """A partial answer of a finalized run, and the attempt that received it."""

    attempt: TurnAttempt
    answer: Answer


@dataclass(frozen=True)
class Finalized:
    """The run's state, the events of its end, and the run that waited for its end and has to be started now."""

    state: RunState
    events: EventBatch = NO_EVENTS
    next_run: Run | None = None


def finalize(
    connection: Connection,
    finalization: Finalization,
    position: StreamPosition = STREAM_START,
    partial: Partial | None = None,
    fencing_token: int | None = None,
) -> Finalized:
    """Finalize the run, close its open step, and store the text of a partial answer.

    Does nothing if the run has ended, the finalizing execution or the attempt of `partial` is superseded, or the newest
    attempt is not the one of `fencing_token`. Returns the run's state in any case.
    """
    run_id, status = finalization.run_id, finalization.status
    # A superseded execution may still try to finalize the run.
    thread = threads.lock_of_run(connection, run_id)
    parameters = _parameters(connection, finalization)
    if partial is not None:
        parameters |= {"of_turn": partial.attempt.turn, "token": partial.attempt.fencing_token}
    elif fencing_token is not None:
        parameters["token"] = fencing_token
    row = _transition(status, partial is not None, fencing_token is not None).apply(connection, run_id, **parameters)
    if row is None:
        return Finalized(state_of(connection, run_id))
    # The deadline belongs to the events before the run's end, and the row no longer has it.
    before = to_run(row).model_copy(update={"expires_at": deadline_of(row)})
    cancelling = _cancelling(before) if status is RunStatus.CANCELLED else None
    first = max(position.next_event, row.next_event)
    opened: list[Event] = abort_events(position.unfinished, CUT_SHORT[status], now_seconds())
    closed = _close_open_steps(connection, finalization)
    if partial is not None:
        opened += _close_emitted_calls(before, status, position, partial)
        after_cancelling = first + (cancelling is not None)
        following = StreamPosition(after_cancelling + len(opened), position.open_step)
        for step in _keep_words(connection, row.project_id, before, status, following, partial):
            opened += step.opened
            closed += step.closed
    events = EventBatch(first, run_events.finalized(cancelling, [*opened, *closed], to_run(row)))
    connection.execute(_SET_EVENTS, {"run": run_id, "new_next_event": events.following, "new_final_event": first})
    # A waiting run was never active on the thread.
    next_run = None if row.waiting else thread_queue.advance(connection, thread)
    state = RunState(status, row.turn, row.expires_at)
    return Finalized(state, events, to_run(next_run) if next_run else None)


def cancel_waiting(connection: Connection, run: Run) -> tuple[Run, EventBatch]:
    """Cancel a waiting run at once, because it has no workflow that could. Other runs are not changed."""
    if connection.scalar(_FIND_WAITING, {"run": run.id}) is None:
        return run, NO_EVENTS
    finalized = finalize(connection, Finalization(run.id, RunStatus.CANCELLED))
    return to_run(connection.execute(_RELOAD, {"run": run.id}).one()), finalized.events


@cache
def _transition(to: RunStatus, of_attempt: bool, of_token: bool) -> Transition:
    guards: list[ColumnElement[bool]] = [~run_retries.is_superseded(_RUN, bindparam("by"))]
    if of_attempt:
        guards += IS_NEWEST
    elif of_token:
        guards.append(RUNS.c.newest_attempt == bindparam("token"))
    values: dict[str, Any] = {
        "ended_by": bindparam("by"),
        "required_action": None,
        "incomplete_reason": bindparam("reason"),
        "usage": bindparam("new_usage"),
    }
    # An expired run keeps its deadline, which is when it expired.
    if to is not RunStatus.EXPIRED:
        values["expires_at"] = None
    if to is RunStatus.CANCELLED:
        values["cancelled_at"] = bindparam("now")
    if to is RunStatus.FAILED:
        values |= {"failed_at": bindparam("now"), "last_error": bindparam("error")}
    return Transition.of(to, *guards, **values)


def _parameters(connection: Connection, finalization: Finalization) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "by": finalization.by,
        "reason": finalization.incomplete_reason,
        "new_usage": Usage.of(used_tokens(connection, finalization.run_id)).model_dump(),
    }
    match finalization.status:
        case RunStatus.CANCELLED:
            parameters["now"] = now_seconds()
        case RunStatus.FAILED:
            error = finalization.error
            parameters |= {"now": now_seconds(), "error": error and error.model_dump(mode="json")}
    return parameters


def _cancelling(run: Run) -> Run:
    """The run as it was before it was cancelled."""
    return run.model_copy(update={"status": RunStatus.CANCELLING, "cancelled_at": None, "usage": None})


def _close_emitted_calls(run: Run, status: RunStatus, position: StreamPosition, partial: Partial) -> Sequence[Event]:
    """The stream has emitted calls whose outputs were never asked for: they are closed in the stream and not stored."""
    if position.open_step is None or position.open_step.type is not StepType.TOOL_CALLS:
        return ()
    attempt, answer = partial.attempt, partial.answer
    calls = tool_calls(run, attempt, answer)
    step = calls_step(run, attempt, answer, calls, now_seconds(), CUT_SHORT[status])
    return events_of(emit([step], run.expires_at, position))


def _keep_words(
    connection: Connection, project_id: str, run: Run, status: RunStatus, position: StreamPosition, partial: Partial
) -> Sequence[EmittedStep]:
    attempt = partial.attempt
    steps = answered_steps(run, attempt, partial.answer, position, now_seconds(), CUT_SHORT[status])
    emitted = emit(steps, run.expires_at, position)
    run_steps.store(connection, project_id, attempt.turn, emitted)
    for step in steps:
        if step.message is not None:
            files.create_made(connection, project_id, partial.answer.files)
            messages.store(connection, project_id, [step.message])
            message_counts.count_answer(connection, run.thread_id)
    return emitted


def _close_open_steps(connection: Connection, finalization: Finalization) -> list[Event]:
    error = step_error(finalization.error)
    closed: list[AnyRow] = list(
        connection.execute(
            _close_steps(UNANSWERED[finalization.status]),
            {
                "run": finalization.run_id,
                "now": now_seconds(),
                "error": error and error.model_dump(mode="json"),
            },
        )
    )
    return [step_closed(each.step) for each in run_steps.with_calls(connection, closed)]


@cache
def _close_steps(status: StepStatus) -> Update:
    ended_at: dict[str, Any] = {f"{status}_at": bindparam("now")}
    return (
        update(RUN_STEPS)
        .where(RUN_STEPS.c.run_id == _RUN, RUN_STEPS.c.status == StepStatus.IN_PROGRESS.value)
        .values(status=status.value, expires_at=None, last_error=bindparam("error"), **ended_at)
        .returning(*run_steps.COLUMNS)
    )
