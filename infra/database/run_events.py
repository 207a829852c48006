"""A run's events as its rows tell them, for readers of streams that no longer have them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database import run_steps, runs, threads
from infra.database.messages import to_message
from infra.database.tables import MessageRow, RunRow, RunStepRow
from models.event_history import RunPicture, history
from models.events import NumberedEvent
from models.runs import RunStatus
from models.shown_steps import Shown, ShownStep


@dataclass(frozen=True)
class Told:
    """What the database knows of a run's events after a number, and whether none can follow them."""

    events: list[NumberedEvent]
    is_over: bool


async def told(session: AsyncSession, run_id: str, after: int) -> Told | None:
    """What the database knows of the run's events after number `after`. None: there is no such run."""
    row = await session.scalar(select(RunRow).where(RunRow.id == run_id))
    if row is None:
        return None
    is_over = RunStatus(row.status).is_terminal
    if row.next_event <= after + 1:
        return Told([], is_over)
    events = history(await _picture(session, row, after))
    return Told([event for event in events if event.number > after], is_over)


async def next_event(session: AsyncSession, run_id: str) -> int | None:
    """The number after the last event that the database knows of. None: there is no such run."""
    return await session.scalar(select(RunRow.next_event).where(RunRow.id == run_id))


async def _picture(session: AsyncSession, row: RunRow, after: int) -> RunPicture:
    begins_at = await _first_step(session, row.id, after)
    steps = await _steps(session, row, begins_at)
    thread = None
    if row.with_thread and not begins_at:
        thread = await threads.load(session, row.project_id, row.thread_id)
    return RunPicture(
        run=runs.to_run(row),
        thread=thread,
        steps=steps,
        turn=row.turn,
        expires_at=runs.deadline_of(row),
        next_event=row.next_event,
        is_whole=not begins_at,
    )


async def _first_step(session: AsyncSession, run_id: str, after: int) -> int:
    """From which step, by its `seq`, the events after a number come; 0 for the run's beginning.

    So that a run of many turns does not read all of them for each.
    """
    before = (RunStepRow.run_id == run_id, RunStepRow.first_event <= after, RunStepRow.first_event > 0)
    return await session.scalar(select(func.max(RunStepRow.seq)).where(*before)) or 0


async def _steps(session: AsyncSession, run: RunRow, begins_at: int) -> Sequence[tuple[int, ShownStep]]:
    query = select(RunStepRow).where(RunStepRow.run_id == run.id, RunStepRow.seq >= begins_at).order_by(RunStepRow.seq)
    rows = (await session.scalars(query)).all()
    steps = await run_steps.with_calls(session, rows)
    ids = [row.message_id for row in rows if row.message_id]
    found = await session.scalars(select(MessageRow).where(MessageRow.id.in_(ids))) if ids else ()
    messages = {row.id: to_message(row) for row in found}
    return [
        (row.turn, ShownStep(step, messages.get(row.message_id or ""), _shown(row), runs.deadline_of(run)))
        for row, step in zip(rows, steps, strict=True)
        # Of a message that was deleted nothing is told any more.
        if row.message_id is None or row.message_id in messages
    ]


def _shown(row: RunStepRow) -> Shown:
    return Shown(row.first_event, [(part, size) for part, size in row.delta_sizes])
