"""Ends a run that no answer ended: cancelled, failed, expired, or out of tokens. Closes what was open with it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds
from infra.database import thread_queue
from infra.database.answers import CutShort, TurnAttempt, message_rows, step_end_times, wire_usage
from infra.database.runs import standing_of, to_run, transition
from infra.database.tables import RunRow, RunStepRow
from infra.database.turns import used_tokens
from models.answers import Answer
from models.messages import MessageIncompleteReason
from models.run_steps import StepStatus
from models.runs import LastError, LastErrorCode, Run, RunIncompleteReason, RunStatus
from models.turns import Standing

CUT_SHORT = {
    RunStatus.CANCELLED: CutShort(MessageIncompleteReason.RUN_CANCELLED, StepStatus.CANCELLED),
    RunStatus.FAILED: CutShort(MessageIncompleteReason.RUN_FAILED, StepStatus.FAILED),
    RunStatus.EXPIRED: CutShort(MessageIncompleteReason.RUN_EXPIRED, StepStatus.EXPIRED),
    RunStatus.INCOMPLETE: CutShort(MessageIncompleteReason.MAX_TOKENS, StepStatus.COMPLETED),
}


@dataclass(frozen=True)
class Ending:
    """How a run ends. `ended_by` is the execution of its workflow that ends it."""

    status: RunStatus
    ended_by: str
    error: LastError | None = None
    incomplete_reason: RunIncompleteReason | None = None


@dataclass(frozen=True)
class Ended:
    """How the run stands, and the run that had waited for its end and is to be started now."""

    standing: Standing
    next_run: Run | None


async def end(
    session: AsyncSession, run_id: str, ending: Ending, partial: tuple[TurnAttempt, Answer] | None = None
) -> Ended:
    """End the run, close its open step, and keep the text of an answer that was cut short (`partial`).

    Returns how the run stands then, which is otherwise where someone else ended it first.
    """
    run = await transition(session, run_id, ending.status, **await _changes(session, run_id, ending))
    next_run = None
    if run is not None:
        await _close_open_steps(session, run_id, ending)
        if partial and partial[1].text:
            attempt, answer = partial
            session.add_all(message_rows(run, attempt, answer, answer.usage, CUT_SHORT[ending.status]))
            await session.flush()
        # A run that waited itself never held the thread.
        next_run = None if run.waiting else await thread_queue.advance(session, run.thread_id)
    return Ended(await standing_of(session, run_id), to_run(next_run) if next_run else None)


async def end_waiting(session: AsyncSession, run: Run) -> Run:
    """Cancel a run at once that waits behind another: it has no workflow that would do it. Others are left alone."""
    row = await session.scalar(select(RunRow).where(RunRow.id == run.id, RunRow.waiting))
    if row is None:
        return run
    await end(session, run.id, Ending(RunStatus.CANCELLED, ended_by=""))
    await session.refresh(row)
    return to_run(row)


async def _changes(session: AsyncSession, run_id: str, ending: Ending) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "ended_by": ending.ended_by,
        "required_action": None,
        "incomplete_reason": ending.incomplete_reason,
        "usage": wire_usage(await used_tokens(session, run_id)),
    }
    # An expired run keeps its deadline, so that callers see when it was.
    if ending.status is not RunStatus.EXPIRED:
        changes["expires_at"] = None
    match ending.status:
        case RunStatus.CANCELLED:
            changes["cancelled_at"] = now_seconds()
        case RunStatus.FAILED:
            changes |= {"failed_at": now_seconds(), "last_error": ending.error and ending.error.model_dump(mode="json")}
    return changes


async def _close_open_steps(session: AsyncSession, run_id: str, ending: Ending) -> None:
    step_status = CUT_SHORT[ending.status].step_status
    await session.execute(
        update(RunStepRow)
        .where(RunStepRow.run_id == run_id, RunStepRow.status == StepStatus.IN_PROGRESS)
        .values(
            status=step_status,
            expires_at=None,
            last_error=_step_error(ending.error),
            **step_end_times(step_status, now_seconds()),
        )
    )


def _step_error(error: LastError | None) -> dict[str, Any] | None:
    """A step knows two of a run's three error codes."""
    if error is None:
        return None
    known = error.code is not LastErrorCode.INVALID_PROMPT
    return {"code": error.code if known else LastErrorCode.SERVER_ERROR, "message": error.message}
