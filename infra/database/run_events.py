"""The replay of a run's events from its rows, for readers of streams that no longer have them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from infra.database import run_steps, runs, threads
from infra.database.columns import AnyRow
from infra.database.messages import to_message
from infra.database.run_tables import RUN_STEPS, RUNS
from infra.database.thread_tables import MESSAGES
from models.event_replay import RunSnapshot, replay
from models.events import NumberedEvent
from models.runs import RunStatus
from models.step_events import EmittedDeltas, StepEvents

_RUN: BindParameter[Any] = bindparam("run")
_POSITION = select(RUNS.c.status, RUNS.c.next_event).where(RUNS.c.id == _RUN)
_LOAD = select(RUNS).where(RUNS.c.id == _RUN)
_FIRST_TURN = select(func.max(RUN_STEPS.c.turn)).where(
    RUN_STEPS.c.run_id == _RUN, RUN_STEPS.c.first_event <= bindparam("after"), RUN_STEPS.c.first_event > 0
)
_STEPS = (
    select(RUN_STEPS)
    .where(RUN_STEPS.c.run_id == _RUN, RUN_STEPS.c.turn >= bindparam("begins_at"))
    .order_by(RUN_STEPS.c.seq)
)
_MESSAGES = select(MESSAGES).where(MESSAGES.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True)
class Replay:
    """The events of a run after a number, and whether the run has ended, so that none can follow."""

    events: list[NumberedEvent]
    is_over: bool


def replay_after(connection: Connection, run_id: str, after: int) -> Replay | None:
    """The run's events after number `after`. None: there is no such run."""
    found = connection.execute(_POSITION, {"run": run_id}).one_or_none()
    if found is None:
        return None
    is_over = RunStatus(found.status).is_terminal
    if found.next_event <= after + 1:
        return Replay([], is_over)
    row = connection.execute(_LOAD, {"run": run_id}).one_or_none()
    if row is None:
        return None
    events = replay(_snapshot(connection, row, after))
    return Replay([event for event in events if event.number > after], RunStatus(row.status).is_terminal)


def next_event(connection: Connection, run_id: str) -> int | None:
    """The number after the last event in the database. None: there is no such run."""
    found = connection.execute(_POSITION, {"run": run_id}).one_or_none()
    return None if found is None else int(found.next_event)


def _snapshot(connection: Connection, row: AnyRow, after: int) -> RunSnapshot:
    begins_at = _first_turn(connection, row.id, after)
    steps = _steps(connection, row, begins_at)
    thread = None
    if row.with_thread and not begins_at:
        thread = threads.load(connection, row.project_id, row.thread_id)
    return RunSnapshot(
        run=runs.to_run(row),
        thread=thread,
        steps=steps,
        turn=row.turn,
        expires_at=runs.deadline_of(row),
        next_event=row.next_event,
        final_event=row.final_event,
        is_whole=not begins_at,
    )


def _first_turn(connection: Connection, run_id: str, after: int) -> int:
    """The turn of the first events after a number; 0 for the run's beginning.

    It spares a run of many turns the read of all of them for each. A turn is read whole: a step of its calls may be
    closed after other steps.
    """
    return connection.scalar(_FIRST_TURN, {"run": run_id, "after": after}) or 0


def _steps(connection: Connection, run: AnyRow, begins_at: int) -> Sequence[tuple[int, StepEvents]]:
    rows = connection.execute(_STEPS, {"run": run.id, "begins_at": begins_at}).all()
    steps = run_steps.with_calls(connection, rows)
    ids = [row.message_id for row in rows if row.message_id]
    found = connection.execute(_MESSAGES, {"ids": ids}) if ids else ()
    messages = {row.id: to_message(row) for row in found}
    return [
        (
            row.turn,
            StepEvents(
                stored.step, messages.get(row.message_id or ""), _emitted(row), runs.deadline_of(run), stored.calls
            ),
        )
        for row, stored in zip(rows, steps, strict=True)
        # The events of a message that was deleted are not replayed.
        if row.message_id is None or row.message_id in messages
    ]


def _emitted(row: AnyRow) -> EmittedDeltas:
    return EmittedDeltas.of_run_lengths(row.first_event, row.delta_sizes)
