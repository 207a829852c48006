"""What the engine reads and writes for one turn of a run: begin it, find it done, commit its answer."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds, seconds_since
from infra.database import answers, message_counts, run_retries, thread_queue, threads
from infra.database.answers import TurnAttempt
from infra.database.messages import newest_message_at
from infra.database.run_transitions import RunIds, RunStarted, record_transition
from infra.database.runs import to_run, transition
from infra.database.tables import RunRow, ToolCallRow, TurnRow
from infra.ports import NO_EVENTS, EventBatch
from models.answers import Answer
from models.errors import ThreadLocked
from models.events import Event, run_event
from models.language_model import TokenUsage
from models.runs import Run, RunIncompleteReason, RunStatus, Usage
from models.step_events import StreamPosition
from models.turns import NextStep, TurnInput, TurnOutcome


async def find_done(session: AsyncSession, turn: TurnInput) -> TurnOutcome | None:
    """The outcome of a turn that was committed before."""
    query = select(TurnRow, RunRow.expires_at, RunRow.status, RunRow.turn).join(RunRow, RunRow.id == TurnRow.run_id)
    found = (await session.execute(query.where(TurnRow.run_id == turn.run_id, TurnRow.turn == turn.turn))).one_or_none()
    if found is None:
        return None
    row, expires_at, status, run_turn = found
    if status == RunStatus.FAILED and run_turn == turn.turn:
        # While it waited for the outputs of this turn's calls, which were closed with it.
        return TurnOutcome(NextStep.FINISH, RunStatus.FAILED, expires_at)
    return TurnOutcome(NextStep(row.next_step), RunStatus(row.run_status), expires_at)


async def is_under_way(session: AsyncSession, run: RunRow) -> bool:
    """Whether there may be an attempt at the run's turn."""
    if run.status not in (RunStatus.IN_PROGRESS, RunStatus.CANCELLING):
        return False
    this = (TurnRow.run_id == run.id, TurnRow.turn == run.turn)
    return await session.scalar(select(TurnRow.turn).where(*this)) is None


@dataclass(frozen=True)
class Begun:
    """The run as a turn finds it. `events` say that it is in progress now; none where it was before.

    `last_message_at` is the time of the thread's newest message, 0 where there is none.
    """

    run: RunRow
    events: EventBatch
    last_message_at: int = 0

    @classmethod
    def now(cls, run: RunRow, last_message_at: int = 0) -> "Begun":
        return cls(run, EventBatch(run.next_event - 1, [run_event(to_run(run))]), last_message_at)


async def begin(session: AsyncSession, turn: TurnInput, workflow_run_id: str, fencing_token: int) -> Begun | None:
    """Put the run in progress for this turn, by the attempt of this fencing_token (`TurnAttempt`).

    None where it has ended, is being cancelled or is at another turn, or a newer attempt has begun. From now on no
    older one can commit. A run that had failed is taken up again: its workflow was reset. Raises `ThreadLocked` where
    another run holds the thread meanwhile.
    """
    due = (RunRow.id == turn.run_id, RunRow.turn == turn.turn, RunRow.fencing_token <= fencing_token)
    query = select(RunRow, newest_message_at(RunRow.thread_id).scalar_subquery())
    found = (await session.execute(query.where(*due, RunRow.waiting.is_(False)))).one_or_none()
    if found is None:
        return None
    run, last_message_at = found[0], found[1] or 0
    if run.status == RunStatus.FAILED:
        reopened = await reopen(session, run.id, workflow_run_id, *due, fencing_token=fencing_token)
        return reopened and replace(reopened, last_message_at=last_message_at)
    queued_at = run.status_changed_at
    if run.status == RunStatus.QUEUED and (
        begun := await _begin_queued(session, run.id, *due, fencing_token=fencing_token)
    ):
        record_transition(session, RunStarted(RunIds.of(begun), seconds_since(queued_at)))
        return Begun.now(begun, last_message_at)
    # A turn that is tried again keeps the time at which it began.
    begun = await _begin_attempt(session, *due, fencing_token=fencing_token)
    return Begun(begun, NO_EVENTS, last_message_at) if begun else None


async def _begin_queued(
    session: AsyncSession, run_id: str, *due: ColumnElement[bool], fencing_token: int
) -> RunRow | None:
    return await transition(
        session,
        run_id,
        RunStatus.IN_PROGRESS,
        RunRow.status == RunStatus.QUEUED,
        *due,
        started_at=now_seconds(),
        fencing_token=fencing_token,
        next_event=RunRow.next_event + 1,
    )


async def _begin_attempt(session: AsyncSession, *due: ColumnElement[bool], fencing_token: int) -> RunRow | None:
    """Make this the newest attempt of a run in progress. None where it was moved on, or a newer one was quicker."""
    run: RunRow | None = await session.scalar(
        update(RunRow)
        .where(RunRow.status == RunStatus.IN_PROGRESS, *due)
        .values(fencing_token=fencing_token)
        .returning(RunRow)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return run


async def reopen(
    session: AsyncSession, run_id: str, workflow_run_id: str, *guards: ColumnElement[bool], **changes: Any
) -> Begun | None:
    """Take a failed run up again, with a new deadline. None where it has not failed, or failed in this execution.

    Raises `ThreadLocked` where another run is active on the thread; the transaction is void then.
    """
    guards = (RunRow.ended_by != workflow_run_id, *guards)
    await threads.hold_of_run(session, run_id)
    changes["started_at"] = now_seconds()
    try:
        run = await run_retries.resume(session, run_id, RunStatus.IN_PROGRESS, None, *guards, **changes)
    except IntegrityError as error:
        raise ThreadLocked.for_reset(run_id) from error
    return Begun.now(run) if run else None


def is_newest(attempt: TurnAttempt) -> tuple[ColumnElement[bool], ...]:
    """Whether the run is at the attempt's turn still, and no newer one has taken it over."""
    return (RunRow.turn == attempt.turn, RunRow.fencing_token == attempt.fencing_token)


async def is_current(session: AsyncSession, run_id: str, attempt: TurnAttempt) -> bool:
    """Whether the run, in progress, waits for this attempt."""
    query = select(RunRow.id).where(RunRow.id == run_id, RunRow.status == RunStatus.IN_PROGRESS, *is_newest(attempt))
    return await session.scalar(query) is not None


async def skip_events(session: AsyncSession, run: RunRow, attempt: TurnAttempt, next_event: int) -> None:
    """Have the events of a run in progress go on with number `next_event`, unless the attempt is not due any more."""
    due = (RunRow.id == run.id, RunRow.status == RunStatus.IN_PROGRESS, *is_newest(attempt))
    await session.execute(update(RunRow).where(*due).values(next_event=next_event))


async def used_tokens(session: AsyncSession, run_id: str) -> TokenUsage:
    """The sum over the run's committed turns."""
    columns = (TurnRow.prompt_tokens, TurnRow.completion_tokens, TurnRow.cached_tokens, TurnRow.reasoning_tokens)
    sums = select(*(func.coalesce(func.sum(column), 0) for column in columns)).where(TurnRow.run_id == run_id)
    return TokenUsage(*map(int, (await session.execute(sums)).one()))


@dataclass(frozen=True)
class Committed:
    """The turn's outcome and events, and the run that had waited for this one's end and is to be started now."""

    outcome: TurnOutcome
    events: EventBatch
    next_run: Run | None


async def commit(
    session: AsyncSession, run: RunRow, attempt: TurnAttempt, answer: Answer, position: StreamPosition
) -> Committed | None:
    """Store a finished answer and move the run where it leads. None, and nothing stored: someone else was first.

    That is also a newer attempt, which is asking: its words are being emitted. The run has one answer, and its stream
    tells the same.
    """
    status = answer.run_status
    await threads.hold(session, run.thread_id)
    parts = answers.answer_parts(run, attempt, answer, position)
    calls = [call for part in parts for call in part.calls]
    emitted: list[Event] = []
    for part in parts:
        emitted += part.emit(run, position.next_event + len(emitted), position.open_step)
    changes = _run_changes(status, await used_tokens(session, run.id) + answer.usage, calls)
    next_event = position.next_event + len(emitted) + 1
    moved = await transition(session, run.id, status, *is_newest(attempt), next_event=next_event, **changes)
    if moved is None:
        return None
    awaits = status is RunStatus.REQUIRES_ACTION
    outcome = TurnOutcome(NextStep.AWAIT_TOOL_OUTPUTS if awaits else NextStep.FINISH, status, moved.expires_at)
    session.add(answers.turn_row(run, attempt, answer, outcome))
    session.add_all(row for part in parts for row in part.rows)
    await session.flush()
    if any(part.message for part in parts):
        await message_counts.count_answer(session, run.thread_id)
    next_run = await thread_queue.advance(session, run.thread_id) if status.is_terminal else None
    events = EventBatch(position.next_event, [*emitted, run_event(to_run(moved))])
    return Committed(outcome, events, to_run(next_run) if next_run else None)


def _run_changes(status: RunStatus, total: TokenUsage, calls: list[ToolCallRow]) -> dict[str, Any]:
    match status:
        case RunStatus.REQUIRES_ACTION:
            return {"required_action": _required_action(calls)}
        case RunStatus.INCOMPLETE:
            reason = RunIncompleteReason.MAX_COMPLETION_TOKENS
            return {"usage": Usage.of(total).model_dump(), "expires_at": None, "incomplete_reason": reason}
        case _:
            return {"usage": Usage.of(total).model_dump(), "expires_at": None, "completed_at": now_seconds()}


def _required_action(calls: list[ToolCallRow]) -> dict[str, Any]:
    asked = [
        {"id": call.id, "type": call.type, "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": asked}}
