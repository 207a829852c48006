"""A run's events as its rows tell them, for readers of streams that no longer have them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database import run_steps, runs, threads
from infra.database.messages import to_message
from infra.database.tables import MessageRow, RunRow, RunStepRow
from models.event_replay import RunSnapshot, replay
from models.events import NumberedEvent
from models.runs import RunStatus
from models.step_events import EmittedDeltas, StepEvents


@dataclass(frozen=True)
class Replay:
    """What the database knows of a run's events after a number, and whether none can follow them."""

    events: list[NumberedEvent]
    is_over: bool


async def replay_after(session: AsyncSession, run_id: str, after: int) -> Replay | None:
    """What the database knows of the run's events after number `after`. None: there is no such run."""
    row = await session.scalar(select(RunRow).where(RunRow.id == run_id))
    if row is None:
        return None
    is_over = RunStatus(row.status).is_terminal
    if row.next_event <= after + 1:
        return Replay([], is_over)
    events = replay(await _snapshot(session, row, after))
    return Replay([event for event in events if event.number > after], is_over)


async def next_event(session: AsyncSession, run_id: str) -> int | None:
    """The number after the last event that the database knows of. None: there is no such run."""
    return await session.scalar(select(RunRow.next_event).where(RunRow.id == run_id))


async def _snapshot(session: AsyncSession, row: RunRow, after: int) -> RunSnapshot:
    begins_at = await _first_step(session, row.id, after)
    steps = await _steps(session, row, begins_at)
    thread = None
    if row.with_thread and not begins_at:
        thread = await threads.load(session, row.project_id, row.thread_id)
    return RunSnapshot(
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


async def _steps(session: AsyncSession, run: RunRow, begins_at: int) -> Sequence[tuple[int, StepEvents]]:
    query = select(RunStepRow).where(RunStepRow.run_id == run.id, RunStepRow.seq >= begins_at).order_by(RunStepRow.seq)
    rows = (await session.scalars(query)).all()
    steps = await run_steps.with_calls(session, rows)
    ids = [row.message_id for row in rows if row.message_id]
    found = await session.scalars(select(MessageRow).where(MessageRow.id.in_(ids))) if ids else ()
    messages = {row.id: to_message(row) for row in found}
    return [
        (row.turn, StepEvents(step, messages.get(row.message_id or ""), _emitted(row), runs.deadline_of(run)))
        for row, step in zip(rows, steps, strict=True)
        # Of a message that was deleted nothing is told any more.
        if row.message_id is None or row.message_id in messages
    ]


def _emitted(row: RunStepRow) -> EmittedDeltas:
    return EmittedDeltas(row.first_event, [(part, size) for part, size in row.delta_sizes])
