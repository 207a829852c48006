"""Ends a run that no answer ended: cancelled, failed, expired, or out of tokens. Closes what was open with it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds
from infra.database import answers, message_counts, run_retries, thread_queue, threads
from infra.database.answers import CutShort, TurnAttempt, step_end_times
from infra.database.run_steps import with_calls
from infra.database.runs import deadline_of, state_of, to_run, transition
from infra.database.tables import RunRow, RunStepRow
from infra.database.turns import is_newest, used_tokens
from infra.ports import NO_EVENTS, EventBatch
from models.aborted_steps import abort_events
from models.answers import Answer
from models.events import Event, run_event, step_closed
from models.messages import MessageIncompleteReason
from models.run_steps import StepStatus, StepType
from models.runs import LastError, LastErrorCode, Run, RunIncompleteReason, RunStatus, Usage
from models.step_events import STREAM_START, StreamPosition
from models.turns import RunState

CUT_SHORT = {
    RunStatus.CANCELLED: CutShort(MessageIncompleteReason.RUN_CANCELLED, StepStatus.CANCELLED),
    RunStatus.FAILED: CutShort(MessageIncompleteReason.RUN_FAILED, StepStatus.FAILED),
    RunStatus.EXPIRED: CutShort(MessageIncompleteReason.RUN_EXPIRED, StepStatus.EXPIRED),
    RunStatus.INCOMPLETE: CutShort(MessageIncompleteReason.MAX_TOKENS, StepStatus.COMPLETED),
}


@dataclass(frozen=True)
class RunEnd:
    """How a run ends. `ended_by` is the execution that ends it, its workflow's or a sweep's."""

    status: RunStatus
    ended_by: str
    error: LastError | None = None
    incomplete_reason: RunIncompleteReason | None = None


@dataclass(frozen=True)
class Partial:
    """An answer that was cut short by its run's end, and the attempt at a turn that got it."""

    attempt: TurnAttempt
    answer: Answer


@dataclass(frozen=True)
class Finalized:
    """How the run stands, the events of its end, and the run that had waited for it and is to be started now."""

    state: RunState
    events: EventBatch = NO_EVENTS
    next_run: Run | None = None


async def finalize(
    session: AsyncSession,
    run_id: str,
    finalization: RunEnd,
    position: StreamPosition = STREAM_START,
    partial: Partial | None = None,
    *guards: ColumnElement[bool],
) -> Finalized:
    """End the run, close its open step, and keep the words of an answer that was cut short.

    Returns how the run stands then, which is otherwise where someone else ended it first, or a guard forbids it.
    """
    await threads.hold_of_run(session, run_id)
    if partial:
        # An attempt that was taken over has no say any more.
        guards = (*guards, *is_newest(partial.attempt))
    guards = (*guards, ~run_retries.is_superseded(run_id, finalization.ended_by))
    run = await transition(
        session, run_id, finalization.status, *guards, **await _changes(session, run_id, finalization)
    )
    if run is None:
        return Finalized(await state_of(session, run_id))
    first = max(position.next_event, run.next_event)
    emitted = [_being_cancelled(run)] if finalization.status is RunStatus.CANCELLED else []
    emitted += abort_events(position.unfinished, CUT_SHORT[finalization.status].step_status, now_seconds())
    emitted += await _close_open_steps(session, run_id, finalization)
    if partial:
        emitted += await _keep_partial(
            session, run, finalization, StreamPosition(first + len(emitted), position.open_step), partial
        )
    emitted.append(run_event(to_run(run)))
    run.next_event = first + len(emitted)
    await session.flush()
    # A run that waited itself never held the thread.
    next_run = None if run.waiting else await thread_queue.advance(session, run.thread_id)
    state = await state_of(session, run_id)
    return Finalized(state, EventBatch(first, emitted), to_run(next_run) if next_run else None)


def _being_cancelled(run: RunRow) -> Event:
    """What came before its end."""
    before = {"status": RunStatus.CANCELLING, "cancelled_at": None, "usage": None, "expires_at": deadline_of(run)}
    return run_event(to_run(run).model_copy(update=before))


async def cancel_waiting(session: AsyncSession, run: Run) -> tuple[Run, EventBatch]:
    """Cancel a run at once that waits behind another: it has no workflow that would do it. Others are left alone."""
    row = await session.scalar(select(RunRow).where(RunRow.id == run.id, RunRow.waiting))
    if row is None:
        return run, NO_EVENTS
    finalized = await finalize(session, run.id, RunEnd(RunStatus.CANCELLED, ended_by=""))
    await session.refresh(row)
    return to_run(row), finalized.events


async def _keep_partial(
    session: AsyncSession, run: RunRow, finalization: RunEnd, position: StreamPosition, partial: Partial
) -> list[Event]:
    attempt, answer, cut_short = partial.attempt, partial.answer, CUT_SHORT[finalization.status]
    emitted: list[Event] = []
    for part in answers.answer_parts(run, attempt, answer, position, cut_short):
        emitted += part.emit(run, position.next_event + len(emitted), position.open_step)
        session.add_all(part.rows)
        if part.message is not None:
            await message_counts.count_answer(session, run.thread_id)
    if position.open_step and position.open_step.type is StepType.TOOL_CALLS:
        # Calls that nobody was asked to answer are not kept, but the stream has emitted them.
        calls = answers.calls_part(run, attempt, answer, answers.call_rows(run, attempt, answer))
        answers.end_step(calls.step, cut_short.step_status, now_seconds())
        emitted += calls.emit(run, position.next_event + len(emitted), position.open_step)
    return emitted


async def _changes(session: AsyncSession, run_id: str, finalization: RunEnd) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "ended_by": finalization.ended_by,
        "required_action": None,
        "incomplete_reason": finalization.incomplete_reason,
        "usage": Usage.of(await used_tokens(session, run_id)).model_dump(),
    }
    # An expired run keeps its deadline, so that callers see when it was.
    if finalization.status is not RunStatus.EXPIRED:
        changes["expires_at"] = None
    match finalization.status:
        case RunStatus.CANCELLED:
            changes["cancelled_at"] = now_seconds()
        case RunStatus.FAILED:
            changes |= {
                "failed_at": now_seconds(),
                "last_error": finalization.error and finalization.error.model_dump(mode="json"),
            }
    return changes


async def _close_open_steps(session: AsyncSession, run_id: str, finalization: RunEnd) -> list[Event]:
    step_status = CUT_SHORT[finalization.status].step_status
    closed = await session.scalars(
        update(RunStepRow)
        .where(RunStepRow.run_id == run_id, RunStepRow.status == StepStatus.IN_PROGRESS)
        .values(
            status=step_status,
            expires_at=None,
            last_error=_step_error(finalization.error),
            **step_end_times(step_status, now_seconds()),
        )
        .returning(RunStepRow)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return [step_closed(step) for step in await with_calls(session, closed.all())]


def _step_error(error: LastError | None) -> dict[str, Any] | None:
    """A step knows two of a run's three error codes."""
    if error is None:
        return None
    known = error.code is not LastErrorCode.INVALID_PROMPT
    return {"code": error.code if known else LastErrorCode.SERVER_ERROR, "message": error.message}
