"""The engine's reads and writes of a turn: begin it, find its outcome, commit its answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, insert, select, update

from infra.clock import now_ms, now_seconds, seconds_since
from infra.database import (
    files,
    message_counts,
    messages,
    run_finalization,
    run_retries,
    run_steps,
    thread_queue,
    threads,
)
from infra.database.columns import AnyRow
from infra.database.messages import newest_message_at
from infra.database.run_finalization import Partial
from infra.database.run_tables import RUNS, TURNS
from infra.database.run_transitions import RunIds, RunStarted, record_transition
from infra.database.runs import DELETED, IS_NEWEST, Transition, to_run
from infra.database.token_usage import used_before
from infra.database.turn_outcomes import following, outcome_of, server_calls, stored_outcome
from infra.ports import NO_EVENTS, EventBatch
from models import run_events
from models.answered_steps import answered_steps, emit, events_of
from models.answers import Answer
from models.finalization import Finalization, turns_used_up
from models.language_model import FinishReason, TokenUsage
from models.run_steps import required_action
from models.runs import Run, RunIncompleteReason, RunStatus, Usage
from models.step_events import StreamPosition
from models.tool_calls import ToolCall
from models.turn_attempts import TurnAttempt
from models.turns import NextStep, RunState, TurnInput, TurnOutcome

_RUN: BindParameter[Any] = bindparam("run")
_TURN: BindParameter[Any] = bindparam("of_turn")
_TOKEN: BindParameter[Any] = bindparam("token")


def _with_turn(*columns: Any) -> Select[Any]:
    # A run; its turn was committed if `next_step` is not null.
    this_turn = and_(TURNS.c.run_id == RUNS.c.id, TURNS.c.turn == _TURN)
    found = select(*columns, TURNS.c.next_step, TURNS.c.run_status).select_from(RUNS.outerjoin(TURNS, this_turn))
    return found.where(RUNS.c.id == _RUN)


_FIND = _with_turn(RUNS.c.status, RUNS.c.turn, RUNS.c.expires_at)
_FIND_TO_BEGIN = _with_turn(*RUNS.c, newest_message_at(RUNS.c.thread_id).label("last_message_at"))
_IS_COMMITTED = select(TURNS.c.turn).where(TURNS.c.run_id == _RUN, TURNS.c.turn == _TURN)
_IS_CURRENT = select(RUNS.c.id).where(
    RUNS.c.id == _RUN,
    RUNS.c.status == RunStatus.IN_PROGRESS.value,
    RUNS.c.turn == _TURN,
    RUNS.c.newest_attempt == _TOKEN,
)
_INSERT = insert(TURNS)

_NONE_NEWER = (RUNS.c.turn == _TURN, RUNS.c.newest_attempt <= _TOKEN)
_BEGIN_QUEUED = Transition.of(
    RunStatus.IN_PROGRESS,
    RUNS.c.status == RunStatus.QUEUED.value,
    *_NONE_NEWER,
    started_at=bindparam("now"),
    newest_attempt=_TOKEN,
    next_event=RUNS.c.next_event + run_events.STARTED_COUNT,
)
# A repeated turn keeps the time at which it began.
_BEGIN_AGAIN = (
    update(RUNS)
    .where(RUNS.c.id == _RUN, RUNS.c.status == RunStatus.IN_PROGRESS.value, *_NONE_NEWER)
    .values(newest_attempt=_TOKEN)
    .returning(RUNS)
)
_SKIP_EVENTS = (
    update(RUNS)
    .where(RUNS.c.id == _RUN, RUNS.c.status == RunStatus.IN_PROGRESS.value, *IS_NEWEST)
    .values(next_event=bindparam("new_next_event"))
)


def _commit(to: RunStatus, **values: Any) -> Transition:
    return Transition.of(to, *IS_NEWEST, next_event=bindparam("new_next_event"), **values)


# The status stays. A run that has failed meanwhile could also be put in progress: its late answer must not do that.
_COMMIT_SERVER_CALLS = (
    update(RUNS)
    .where(RUNS.c.id == _RUN, RUNS.c.status == RunStatus.IN_PROGRESS.value, *IS_NEWEST)
    .values(next_event=bindparam("new_next_event"))
    .returning(RUNS)
)
_COMMIT_CALLS = _commit(RunStatus.REQUIRES_ACTION, required_action=bindparam("new_required_action"))
_COMMIT_INCOMPLETE = _commit(
    RunStatus.INCOMPLETE, usage=bindparam("new_usage"), expires_at=None, incomplete_reason=bindparam("reason")
)
_COMMIT_COMPLETED = _commit(
    RunStatus.COMPLETED, usage=bindparam("new_usage"), expires_at=None, completed_at=bindparam("now")
)


TURNS_USED_UP = RunIncompleteReason.MAX_PROMPT_TOKENS
"""The nearest of the two reasons of the wire; the log and the step name the real one."""


@dataclass(frozen=True)
class Begun:
    """The run at the beginning of an attempt. `events` are those of its start; empty if it was in progress before.

    `next_event` is the number of the run's next event, `last_message_seq` the last message of the prompt,
    `last_message_at` the time of the thread's newest message, 0 if there is none.
    """

    run: Run
    project_id: str
    retries: int
    next_event: int
    last_message_seq: int
    last_message_at: int
    events: EventBatch

    @classmethod
    def of(cls, row: AnyRow, last_message_at: int, has_started: bool) -> "Begun":
        run = to_run(row)
        events = EventBatch.before(row.next_event, run_events.started(run)) if has_started else NO_EVENTS
        return cls(run, row.project_id, row.retries, row.next_event, row.last_message_seq, last_message_at, events)


@dataclass(frozen=True)
class Resumed:
    """A run that failed while the server ran the calls of its committed turn, and is in progress again."""

    begun: Begun
    outcome: TurnOutcome


@dataclass(frozen=True)
class Committed:
    """The turn's outcome and events, and the run that waited for this one's end and has to be started now.

    `turns_used_up`: the run ended because no turn was left for the results of its calls.
    """

    outcome: TurnOutcome
    events: EventBatch
    next_run: Run | None
    turns_used_up: bool = False


def find_done(connection: Connection, turn: TurnInput) -> TurnOutcome | RunState:
    """The outcome of a committed turn, otherwise the run's state."""
    row = connection.execute(_FIND, {"run": turn.run_id, "of_turn": turn.turn}).one_or_none()
    if row is None:
        return DELETED
    return outcome_of(connection, row, turn) or RunState(RunStatus(row.status), row.turn, row.expires_at)


def begin(
    connection: Connection, turn: TurnInput, workflow_run_id: str, fencing_token: int
) -> Begun | TurnOutcome | Resumed | None:
    """Put the run in progress for this turn, by the attempt with this token (`TurnAttempt`).

    Returns the outcome if the turn was committed before; `Resumed` if the run was retried while the server ran its
    calls. None if the run has ended, is being cancelled or is at another turn, or a newer attempt has begun. From now
    on no older attempt can commit. A failed run is resumed: its workflow was reset. Raises `ThreadLocked` if another
    run is active on the thread meanwhile.
    """
    this = {"run": turn.run_id, "of_turn": turn.turn}
    found = connection.execute(_FIND_TO_BEGIN, this).one_or_none()
    if found is None:
        return None
    if found.next_step is None:
        return _begin(connection, found, turn, workflow_run_id, fencing_token)
    if found.next_step == NextStep.RUN_TOOLS and found.status in (RunStatus.FAILED, RunStatus.QUEUED):
        begun = _begin(connection, found, turn, workflow_run_id, fencing_token)
        if begun is not None:
            outcome = stored_outcome(connection, found, turn)
            return Resumed(begun, replace(outcome, expires_at=begun.run.expires_at))
    return outcome_of(connection, found, turn)


def _begin(
    connection: Connection, found: AnyRow, turn: TurnInput, workflow_run_id: str, fencing_token: int
) -> Begun | None:
    if found.waiting or found.turn != turn.turn or found.newest_attempt > fencing_token:
        return None
    last_message_at = found.last_message_at or 0
    if found.status == RunStatus.FAILED:
        resumed = run_retries.reopen(connection, turn.run_id, workflow_run_id, fencing_token)
        return Begun.of(resumed, last_message_at, has_started=True) if resumed else None
    parameters = {"of_turn": turn.turn, "token": fencing_token}
    if found.status == RunStatus.QUEUED:
        begun = _BEGIN_QUEUED.apply(connection, turn.run_id, now=now_seconds(), **parameters)
        if begun is not None:
            record_transition(connection, RunStarted(RunIds.of(begun), seconds_since(found.status_changed_at)))
            return Begun.of(begun, last_message_at, has_started=True)
    again = connection.execute(_BEGIN_AGAIN, {"run": turn.run_id, **parameters}).one_or_none()
    return Begun.of(again, last_message_at, has_started=False) if again else None


def is_committed(connection: Connection, run_id: str, turn: int) -> bool:
    return connection.scalar(_IS_COMMITTED, {"run": run_id, "of_turn": turn}) is not None


def is_current(connection: Connection, run_id: str, attempt: TurnAttempt) -> bool:
    """Whether the run is in progress and this is its newest attempt."""
    return connection.scalar(_IS_CURRENT, {"run": run_id, **_newest(attempt)}) is not None


def skip_events(connection: Connection, run_id: str, attempt: TurnAttempt, next_event: int) -> None:
    """Continue the events of a run in progress with number `next_event`, unless the attempt is superseded."""
    connection.execute(_SKIP_EVENTS, {"run": run_id, **_newest(attempt), "new_next_event": next_event})


def commit(
    connection: Connection,
    begun: Begun,
    attempt: TurnAttempt,
    answer: Answer,
    position: StreamPosition,
    is_last_turn: bool = False,
) -> Committed | None:
    """Store a complete answer and move the run to the status that follows from it.

    The calls of the last turn that the run may take are not answered: the run ends with them, and their step says why.
    If a cancel came first, the answer's text is stored as that of a cancelled run. None, and nothing is stored, if the
    run has ended otherwise, or a newer attempt has begun: only the answer of that attempt counts.
    """
    run = begun.run
    thread = threads.lock_any(connection, run.thread_id)
    used_up = turns_used_up(attempt.turn + 1) if is_last_turn and answer.asks_for_results else None
    steps = answered_steps(run, attempt, answer, position, now_seconds(), unanswered=used_up)
    emitted = emit(steps, run.expires_at, position)
    step_events = events_of(emitted)
    calls = [call for step in steps for call in step.calls]
    next_step, status = (NextStep.FINISH, RunStatus.INCOMPLETE) if used_up else following(answer, calls)
    next_event = position.next_event + len(step_events)
    # A run that stays in progress has no event for its status.
    if has_event := status is not RunStatus.IN_PROGRESS:
        next_event += run_events.ANSWERED_COUNT
    usage = used_before(connection, run.id, attempt.turn) + answer.usage
    reason = TURNS_USED_UP if used_up else RunIncompleteReason.MAX_COMPLETION_TOKENS
    moved = _move(connection, run.id, attempt, status, calls, usage, next_event, reason)
    if moved is None:
        return _commit_cancelled(connection, begun, attempt, answer, position)
    to_run_now = server_calls(calls) if next_step is NextStep.RUN_TOOLS else ()
    outcome = TurnOutcome(next_step, status, moved.expires_at, to_run_now)
    connection.execute(_INSERT, _values(begun, attempt, answer, outcome))
    run_steps.store(connection, begun.project_id, attempt.turn, emitted)
    for step in steps:
        if step.message is not None:
            files.create_made(connection, begun.project_id, answer.files)
            messages.store(connection, begun.project_id, [step.message])
            message_counts.count_answer(connection, run.thread_id)
    next_run = thread_queue.advance(connection, thread) if status.is_terminal else None
    events = run_events.answered(step_events, to_run(moved)) if has_event else step_events
    batch = EventBatch(position.next_event, events)
    return Committed(outcome, batch, to_run(next_run) if next_run else None, used_up is not None)


def _move(
    connection: Connection,
    run_id: str,
    attempt: TurnAttempt,
    to: RunStatus,
    calls: Sequence[ToolCall],
    usage: TokenUsage,
    next_event: int,
    reason: RunIncompleteReason,
) -> AnyRow | None:
    guards = {**_newest(attempt), "new_next_event": next_event}
    match to:
        case RunStatus.IN_PROGRESS:
            return connection.execute(_COMMIT_SERVER_CALLS, {"run": run_id, **guards}).one_or_none()
        case RunStatus.REQUIRES_ACTION:
            required = required_action(calls).model_dump(mode="json")
            return _COMMIT_CALLS.apply(connection, run_id, new_required_action=required, **guards)
        case RunStatus.INCOMPLETE:
            totals = Usage.of(usage).model_dump()
            return _COMMIT_INCOMPLETE.apply(connection, run_id, new_usage=totals, reason=reason.value, **guards)
        case _:
            totals = Usage.of(usage).model_dump()
            return _COMMIT_COMPLETED.apply(connection, run_id, new_usage=totals, now=now_seconds(), **guards)


def _commit_cancelled(
    connection: Connection, begun: Begun, attempt: TurnAttempt, answer: Answer, position: StreamPosition
) -> Committed | None:
    """The stream may have emitted the whole answer before the cancel was committed: its text is stored."""
    found = connection.execute(_FIND, {"run": begun.run.id, "of_turn": attempt.turn}).one_or_none()
    if found is None or found.status != RunStatus.CANCELLING or found.next_step:
        return None
    cancel = Finalization(begun.run.id, RunStatus.CANCELLED, by=attempt.workflow_run_id)
    finalized = run_finalization.finalize(connection, cancel, position, Partial(attempt, answer))
    state = finalized.state
    if not state.status.is_terminal:
        return None
    return Committed(TurnOutcome(NextStep.FINISH, state.status, state.expires_at), finalized.events, finalized.next_run)


def _newest(attempt: TurnAttempt) -> dict[str, int]:
    return {"of_turn": attempt.turn, "token": attempt.fencing_token}


def _values(begun: Begun, attempt: TurnAttempt, answer: Answer, outcome: TurnOutcome) -> dict[str, Any]:
    return {
        "run_id": begun.run.id,
        "turn": attempt.turn,
        "project_id": begun.project_id,
        "attempt": attempt.attempt,
        "next_step": outcome.next_step.value,
        "run_status": outcome.status.value,
        "finish_reason": (answer.finish.reason if answer.finish else FinishReason.STOP).value,
        "started_at": attempt.started_at_ms,
        "finished_at": now_ms(),
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "cached_tokens": answer.usage.cached_tokens,
        "reasoning_tokens": answer.usage.reasoning_tokens,
        "provider_state": answer.state.as_stored() if answer.state else None,
    }
