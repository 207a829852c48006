"""Reads and writes of the tool calls of steps. Results of the server's calls are stored by `tool_results.py`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from infra.database.columns import AnyRow
from infra.database.run_tables import TOOL_CALLS
from models.tool_calls import (
    CELLS,
    MAX_RUN_CALLS,
    SERVER_RESULTS,
    SubmittedOutput,
    ToolCall,
    ToolKind,
    ToolOptions,
    ToolResult,
)
from models.tools import FileSearchOptions, WebRetrievalOptions

_OF_TURN = (TOOL_CALLS.c.run_id == bindparam("run"), TOOL_CALLS.c.turn == bindparam("of_turn"))
_INSERT = insert(TOOL_CALLS)
_LOAD_OF_STEPS = (
    select(TOOL_CALLS)
    .where(TOOL_CALLS.c.step_id.in_(bindparam("steps", expanding=True)))
    .order_by(TOOL_CALLS.c.step_id, TOOL_CALLS.c.position)
)
_LOAD_OF_TURN = select(TOOL_CALLS).where(*_OF_TURN).order_by(TOOL_CALLS.c.position)
_SERVER_CALLS = (
    select(TOOL_CALLS.c.id, TOOL_CALLS.c.type)
    .where(*_OF_TURN, TOOL_CALLS.c.type != ToolKind.FUNCTION.value)
    .order_by(TOOL_CALLS.c.position)
    .limit(MAX_RUN_CALLS)
)
_FUNCTION_IDS = (
    select(TOOL_CALLS.c.id)
    .where(*_OF_TURN, TOOL_CALLS.c.type == ToolKind.FUNCTION.value)
    .order_by(TOOL_CALLS.c.position)
)
_OPTIONS: Mapping[str, type[ToolOptions]] = {
    ToolKind.FILE_SEARCH.value: FileSearchOptions,
    ToolKind.WEB_RETRIEVAL.value: WebRetrievalOptions,
}
_CALL: BindParameter[Any] = bindparam("call")
_STORE_OUTPUT = update(TOOL_CALLS).where(TOOL_CALLS.c.id == _CALL).values(output=bindparam("new_output"))


def store(connection: Connection, project_id: str, run_id: str, step_id: str, calls: Iterable[ToolCall]) -> None:
    """Insert the calls of a step."""
    if rows := [_row(project_id, run_id, step_id, call) for call in calls]:
        connection.execute(_INSERT, rows)


def of_steps(connection: Connection, step_ids: Sequence[str]) -> Mapping[str, Sequence[ToolCall]]:
    """The calls of steps by step, in their order."""
    calls: dict[str, list[ToolCall]] = {step_id: [] for step_id in step_ids}
    for row in connection.execute(_LOAD_OF_STEPS, {"steps": list(step_ids)}) if step_ids else ():
        calls[row.step_id].append(to_call(row))
    return calls


def of_turn(connection: Connection, run_id: str, turn: int) -> Sequence[ToolCall]:
    """A turn's calls, in their order."""
    return [to_call(row) for row in connection.execute(_LOAD_OF_TURN, {"run": run_id, "of_turn": turn})]


def server_calls(connection: Connection, run_id: str, turn: int) -> Sequence[AnyRow]:
    """`id` and `type` of a turn's calls that the server runs, in their order."""
    return connection.execute(_SERVER_CALLS, {"run": run_id, "of_turn": turn}).all()


def function_ids(connection: Connection, run_id: str, turn: int) -> list[str]:
    """The ids of a turn's function calls, in their order."""
    return list(connection.scalars(_FUNCTION_IDS, {"run": run_id, "of_turn": turn}))


def store_outputs(connection: Connection, outputs: Mapping[str, str]) -> None:
    """Store the outputs of function calls, by their ids."""
    if outputs:
        connection.execute(_STORE_OUTPUT, [{"call": call_id, "new_output": text} for call_id, text in outputs.items()])


def to_call(row: AnyRow) -> ToolCall:
    return ToolCall(
        id=row.id,
        kind=ToolKind(row.type),
        name=row.name,
        arguments=row.arguments,
        turn=row.turn,
        position=row.position,
        options=None if row.options is None else _OPTIONS[row.type].model_validate(row.options),
        result=_result(row),
        result_event=row.result_event,
        cell=None if row.cell is None else CELLS.validate_python(row.cell),
    )


def _result(row: AnyRow) -> ToolResult | None:
    if row.type == ToolKind.FUNCTION:
        return None if row.output is None else SubmittedOutput(row.output)
    return None if row.result is None else SERVER_RESULTS.validate_python(row.result)


def _row(project_id: str, run_id: str, step_id: str, call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "project_id": project_id,
        "run_id": run_id,
        "step_id": step_id,
        "turn": call.turn,
        "position": call.position,
        "type": call.kind.value,
        "name": call.name,
        "arguments": call.arguments,
        "output": None,
        "options": call.options and call.options.model_dump(mode="json"),
    }
