"""The outcome of a turn: what follows from its answer, and what a committed turn has left to do."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra.database import tool_calls
from infra.database.columns import AnyRow
from models.answers import Answer
from models.runs import RunStatus
from models.tool_calls import MAX_RUN_CALLS, ToolCall, ToolKind
from models.turns import NextStep, ServerCall, TurnInput, TurnOutcome


def following(answer: Answer, calls: Sequence[ToolCall]) -> tuple[NextStep, RunStatus]:
    """The next step of the run after a complete answer with these calls, and its status until then."""
    status = answer.run_status
    if status is not RunStatus.REQUIRES_ACTION:
        return NextStep.FINISH, status
    if server_calls(calls):
        return NextStep.RUN_TOOLS, RunStatus.IN_PROGRESS
    return NextStep.AWAIT_TOOL_OUTPUTS, status


def server_calls(calls: Sequence[ToolCall]) -> tuple[ServerCall, ...]:
    """Those to run: `tool_results.py` answers the others."""
    return tuple(ServerCall(call.id, call.kind) for call in calls if call.kind.is_run_by_server)[:MAX_RUN_CALLS]


def outcome_of(connection: Connection, row: AnyRow, turn: TurnInput) -> TurnOutcome | None:
    """`row` is the run with `next_step` and `run_status` of its turn. None: the turn was not committed."""
    if row.next_step is None:
        return None
    if row.status == RunStatus.FAILED and row.turn == turn.turn:
        # The run failed while it waited for the results of this turn's calls, which were closed with it.
        return TurnOutcome(NextStep.FINISH, RunStatus.FAILED, row.expires_at)
    return stored_outcome(connection, row, turn)


def stored_outcome(connection: Connection, row: AnyRow, turn: TurnInput) -> TurnOutcome:
    """As it was committed, whatever has become of the run."""
    next_step = NextStep(row.next_step)
    calls: Sequence[AnyRow] = ()
    if next_step is NextStep.RUN_TOOLS:
        calls = tool_calls.server_calls(connection, turn.run_id, turn.turn)
    to_run = tuple(ServerCall(call.id, ToolKind(call.type)) for call in calls)
    return TurnOutcome(next_step, RunStatus(row.run_status), row.expires_at, to_run)
