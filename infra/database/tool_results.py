"""Calls that the server runs: the next one to run, and its result with what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from infra.clock import now_ms
from infra.database import run_steps, tool_calls
from infra.database.columns import AnyRow
from infra.database.run_tables import RUNS, TOOL_CALLS
from infra.database.runs import Transition, state_of, to_run
from infra.ports import NO_EVENTS, AlsoStored, EventBatch
from models import run_events
from models.events import Event
from models.run_steps import required_action
from models.runs import Run, RunStatus
from models.tool_calls import (
    CELLS,
    MAX_RUN_CALLS,
    SERVER_RESULTS,
    TOO_MANY_CALLS,
    ServerResult,
    ToolCall,
    ToolFailure,
    ToolKind,
)
from models.tool_formats.code_interpreter import logs_delta
from models.tool_formats.formats import FORMATS
from models.turns import RunState, ToolCallInput

_RUN: BindParameter[Any] = bindparam("run")
_TURN: BindParameter[Any] = bindparam("of_turn")
_FIND = select(TOOL_CALLS).where(
    TOOL_CALLS.c.id == bindparam("call"), TOOL_CALLS.c.run_id == _RUN, TOOL_CALLS.c.turn == _TURN
)
_IN_PROGRESS = select(RUNS).where(RUNS.c.id == _RUN, RUNS.c.status == RunStatus.IN_PROGRESS.value, RUNS.c.turn == _TURN)
# Two calls that end at once wait for each other here: the second one finds that none is left.
_LOCK_IN_PROGRESS = _IN_PROGRESS.with_for_update()
_SET_RESULT = (
    update(TOOL_CALLS)
    .where(TOOL_CALLS.c.id == bindparam("call"), TOOL_CALLS.c.run_id == _RUN, TOOL_CALLS.c.result.is_(None))
    .values(
        result=bindparam("new_result"),
        result_event=bindparam("event"),
        error=bindparam("new_error"),
        attempt=bindparam("of_attempt"),
        started_at=bindparam("from_ms"),
        finished_at=bindparam("now_ms"),
    )
    .returning(TOOL_CALLS)
)
_LIMIT_EXCEEDED = ToolFailure(TOO_MANY_CALLS)
_SET_CELL = (
    update(TOOL_CALLS)
    .where(TOOL_CALLS.c.id == bindparam("call"))
    .values(cell=bindparam("new_cell", type_=TOOL_CALLS.c.cell.type))
)
_ADD_EVENTS = update(RUNS).where(RUNS.c.id == _RUN).values(next_event=bindparam("new_next_event")).returning(RUNS)
_BEGIN_NEXT_TURN = (
    update(RUNS)
    .where(RUNS.c.id == _RUN)
    # As for submitted outputs: tokens order only the attempts at one turn.
    .values(turn=RUNS.c.turn + 1, newest_attempt=0, next_event=bindparam("new_next_event"))
    .returning(RUNS)
)
_REQUIRE_ACTION = Transition.of(
    RunStatus.REQUIRES_ACTION,
    RUNS.c.turn == _TURN,
    required_action=bindparam("new_required_action"),
    next_event=bindparam("new_next_event"),
)


def _nothing(_connection: Connection) -> None:
    pass


@dataclass(frozen=True)
class CallToRun:
    """A call without a result, and its run, which is in progress."""

    call: ToolCall
    run: Run
    project_id: str


@dataclass(frozen=True)
class CallTiming:
    """The attempt that ran a call, and its beginning in milliseconds since the epoch."""

    attempt: int
    started_at_ms: int


@dataclass(frozen=True)
class Stored:
    """The run's state after the result of a call, and the events of the result."""

    state: RunState
    events: EventBatch = NO_EVENTS


def find_to_run(connection: Connection, call: ToolCallInput) -> CallToRun | RunState:
    """The run's state if there is nothing to run: the call has a result, or the run is no longer at its turn."""
    found = connection.execute(_FIND, _of(call)).one_or_none()
    run = connection.execute(_IN_PROGRESS, {"run": call.run_id, "of_turn": call.turn}).one_or_none()
    if run is None or found is None or found.result is not None:
        return state_of(connection, call.run_id)
    return CallToRun(tool_calls.to_call(found), to_run(run), run.project_id)


def is_wanted(connection: Connection, run_id: str, turn: int) -> bool:
    """Whether the run is still in progress at the turn."""
    return connection.execute(_IN_PROGRESS, {"run": run_id, "of_turn": turn}).one_or_none() is not None


def show_logs(connection: Connection, call: ToolCallInput, logs: str) -> EventBatch:
    """Show what a call's code has written so far, and begin its result with it. `logs` are all from their beginning.

    Nothing is shown that was shown before, or of a call that has a result or whose run is no longer at its turn.
    """
    run = connection.execute(_LOCK_IN_PROGRESS, {"run": call.run_id, "of_turn": call.turn}).one_or_none()
    found = connection.execute(_FIND, _of(call)).one_or_none()
    if run is None or found is None or found.result is not None or found.cell is None:
        return NO_EVENTS
    cell = CELLS.validate_python(found.cell)
    unseen = logs[len(cell.logs) :]
    if not unseen:
        return NO_EVENTS
    shown = replace(cell, logs=logs, shown=(*cell.shown, (run.next_event, len(unseen))))
    connection.execute(_SET_CELL, {"call": call.call_id, "new_cell": CELLS.dump_python(shown, mode="json")})
    row = _set_events(connection, _ADD_EVENTS, run, 1)
    return EventBatch.before(row.next_event, [logs_delta(found.step_id, tool_calls.to_call(found), unseen)])


def are_earlier_answered(connection: Connection, call: ToolCall, run_id: str) -> bool:
    """Whether the calls of the same kind before this one in its answer have results."""
    before = [each for each in tool_calls.of_turn(connection, run_id, call.turn) if each.position < call.position]
    return all(each.is_answered for each in before if each.kind is call.kind)


def store_result(
    connection: Connection, call: ToolCallInput, result: ServerResult, timing: CallTiming, also: AlsoStored = _nothing
) -> Stored:
    """Store the result, and what belongs to it, unless the call has one or the run is no longer at its turn.

    The result of the last call that is run answers those beyond the limit. Then it asks the client for the outputs of
    the turn's functions or, if there are none, completes the step and begins the next turn.
    """
    run = connection.execute(_LOCK_IN_PROGRESS, {"run": call.run_id, "of_turn": call.turn}).one_or_none()
    if run is None:
        return Stored(state_of(connection, call.run_id))
    deltas = _set_result(connection, call, result, timing, run.next_event)
    if deltas is None:
        return Stored(state_of(connection, call.run_id))
    also(connection)
    calls = tool_calls.of_turn(connection, call.run_id, call.turn)
    of_server = [each for each in calls if each.kind.is_run_by_server]
    if not all(each.is_answered for each in of_server[:MAX_RUN_CALLS]):
        return _stored(_set_events(connection, _ADD_EVENTS, run, len(deltas)), deltas)
    for each in of_server[MAX_RUN_CALLS:]:
        beyond = ToolCallInput(call.run_id, call.turn, each.id)
        at = run.next_event + len(deltas)
        deltas = [*deltas, *(_set_result(connection, beyond, _LIMIT_EXCEEDED, timing, at) or ())]
    return _follow_up(connection, call, run, calls, deltas)


def _set_result(
    connection: Connection, call: ToolCallInput, result: ServerResult, timing: CallTiming, event: int
) -> Sequence[Event] | None:
    """The deltas of the result, of which the first has the number `event`. None: the call has a result."""
    row = connection.execute(_SET_RESULT, {**_of(call), **_values(result, timing, event)}).one_or_none()
    if row is None:
        return None
    stored = tool_calls.to_call(row)
    return FORMATS[stored.kind].result_deltas(row.step_id, stored)


def _follow_up(
    connection: Connection, call: ToolCallInput, run: AnyRow, calls: Sequence[ToolCall], deltas: Sequence[Event]
) -> Stored:
    if any(each.kind is ToolKind.FUNCTION for each in calls):
        next_event = run.next_event + len(deltas) + run_events.ANSWERED_COUNT
        required = required_action(calls).model_dump(mode="json")
        moved = _REQUIRE_ACTION.apply(
            connection, run.id, of_turn=call.turn, new_required_action=required, new_next_event=next_event
        )
        assert moved is not None  # noqa: S101 - the run is locked, and in progress at this turn
        return _stored(moved, run_events.answered(deltas, to_run(moved)))
    events = run_events.tools_run(deltas, run_steps.complete(connection, call.run_id, call.turn))
    return _stored(_set_events(connection, _BEGIN_NEXT_TURN, run, len(events)), events)


def _set_events(connection: Connection, statement: ReturningUpdate[Any], run: AnyRow, count: int) -> AnyRow:
    return connection.execute(statement, {"run": run.id, "new_next_event": run.next_event + count}).one()


def _stored(run: AnyRow, events: Sequence[Event]) -> Stored:
    state = RunState(RunStatus(run.status), run.turn, run.expires_at)
    return Stored(state, EventBatch.before(run.next_event, events))


def _of(call: ToolCallInput) -> dict[str, Any]:
    return {"run": call.run_id, "of_turn": call.turn, "call": call.call_id}


def _values(result: ServerResult, timing: CallTiming, event: int) -> dict[str, Any]:
    return {
        "new_result": SERVER_RESULTS.dump_python(result, mode="json"),
        "event": event,
        "new_error": result.message if isinstance(result, ToolFailure) else None,
        "of_attempt": timing.attempt,
        "from_ms": timing.started_at_ms,
        "now_ms": now_ms(),
    }
