"""Reads and writes of run steps, each with its tool calls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from infra.clock import now_seconds
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.run_tables import RUN_STEPS, TOOL_CALLS
from models.answered_steps import EmittedStep
from models.errors import NotFound
from models.lists import Page, PageRequest
from models.run_steps import RunStep, StepStatus, StepType, ToolCallsDetails

NOUN = "run step"

DEFERRED = ("delta_sizes",)
"""Columns that only the replay of a run's events reads."""

_RUN: BindParameter[Any] = bindparam("run")
_TURN: BindParameter[Any] = bindparam("of_turn")
COLUMNS = [column for column in RUN_STEPS.c if column.name not in DEFERRED]
_LOAD = select(*COLUMNS).where(
    RUN_STEPS.c.id == bindparam("step"), RUN_STEPS.c.run_id == _RUN, RUN_STEPS.c.project_id == bindparam("project")
)
_INSERT = insert(RUN_STEPS)
_INSERT_CALLS = insert(TOOL_CALLS)
_CALLS_OF_STEPS = (
    select(TOOL_CALLS)
    .where(TOOL_CALLS.c.step_id.in_(bindparam("steps", expanding=True)))
    .order_by(TOOL_CALLS.c.step_id, TOOL_CALLS.c.position)
)
_CALLS_OF_TURN = (TOOL_CALLS.c.run_id == _RUN, TOOL_CALLS.c.turn == _TURN)
_CALL_IDS = select(TOOL_CALLS.c.id).where(*_CALLS_OF_TURN).order_by(TOOL_CALLS.c.position)
_STORE_OUTPUT = update(TOOL_CALLS).where(TOOL_CALLS.c.id == bindparam("call")).values(output=bindparam("new_output"))
_COMPLETE = (
    update(RUN_STEPS)
    .where(RUN_STEPS.c.run_id == _RUN, RUN_STEPS.c.turn == _TURN, RUN_STEPS.c.type == StepType.TOOL_CALLS.value)
    .values(status=StepStatus.COMPLETED.value, completed_at=bindparam("now"), expires_at=None)
    .returning(*COLUMNS)
)


def load(connection: Connection, project_id: str, run_id: str, step_id: str) -> RunStep:
    """Raises `NotFound`."""
    row = connection.execute(_LOAD, {"step": step_id, "run": run_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, step_id)
    return with_calls(connection, [row])[0]


def list_page(connection: Connection, project_id: str, run_id: str, page: PageRequest) -> Page[RunStep]:
    scope = {"run_id": run_id, "project_id": project_id}
    rows, has_more = load_page(connection, RUN_STEPS, NOUN, page, scope, without=DEFERRED)
    return Page[RunStep].of(with_calls(connection, rows), has_more)


def call_ids(connection: Connection, run_id: str, turn: int) -> list[str]:
    """The ids of a turn's calls, in their order."""
    return list(connection.scalars(_CALL_IDS, {"run": run_id, "of_turn": turn}))


def store_outputs(connection: Connection, run_id: str, turn: int, outputs: Mapping[str, str]) -> RunStep:
    """Store the outputs of all calls of a turn, by their ids, and complete their step. Returns the step."""
    if outputs:
        connection.execute(
            _STORE_OUTPUT, [{"call": call_id, "new_output": output} for call_id, output in outputs.items()]
        )
    completed = connection.execute(_COMPLETE, {"run": run_id, "of_turn": turn, "now": now_seconds()})
    return with_calls(connection, [completed.one()])[0]


def store(connection: Connection, project_id: str, turn: int, emitted: Iterable[EmittedStep]) -> None:
    """Insert the steps of an answer, with their calls."""
    for each in emitted:
        connection.execute(_INSERT, _values(project_id, turn, each))
        if calls := _call_values(project_id, turn, each.answered.step):
            connection.execute(_INSERT_CALLS, calls)


def with_calls(connection: Connection, rows: Sequence[AnyRow]) -> list[RunStep]:
    """The steps of these rows, with their calls."""
    calls: dict[str, list[AnyRow]] = {row.id: [] for row in rows if row.type == StepType.TOOL_CALLS}
    if calls:
        for call in connection.execute(_CALLS_OF_STEPS, {"steps": list(calls)}):
            calls[call.step_id].append(call)
    return [to_step(row, calls.get(row.id, ())) for row in rows]


def to_step(row: AnyRow, calls: Sequence[AnyRow] = ()) -> RunStep:
    return RunStep(
        id=row.id,
        created_at=row.created_at,
        run_id=row.run_id,
        assistant_id=row.assistant_id,
        thread_id=row.thread_id,
        type=row.type,
        status=row.status,
        cancelled_at=row.cancelled_at,
        completed_at=row.completed_at,
        expired_at=row.expired_at,
        expires_at=row.expires_at,
        failed_at=row.failed_at,
        last_error=row.last_error,
        step_details=_details(row, calls),
        metadata=row.metadata,
        usage=None if row.status == StepStatus.IN_PROGRESS else row.usage,
    )


def _details(row: AnyRow, calls: Sequence[AnyRow]) -> dict[str, Any]:
    if row.type == StepType.MESSAGE_CREATION:
        return {"type": row.type, "message_creation": {"message_id": row.message_id}}
    return {"type": row.type, "tool_calls": [_call(call) for call in calls]}


def _call(call: AnyRow) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments, "output": call.output}
    return {"id": call.id, "type": call.type, "function": function}


def _values(project_id: str, turn: int, emitted: EmittedStep) -> dict[str, Any]:
    answered = emitted.answered
    fields = answered.step.model_dump(mode="json", exclude={"object", "step_details", "usage"})
    return {
        **fields,
        "project_id": project_id,
        "turn": turn,
        "message_id": answered.message.id if answered.message else None,
        "usage": answered.usage.model_dump(),
        "first_event": emitted.deltas.first_event,
        "delta_sizes": emitted.deltas.run_lengths(),
    }


def _call_values(project_id: str, turn: int, step: RunStep) -> list[dict[str, Any]]:
    details = step.step_details
    calls = details.tool_calls if isinstance(details, ToolCallsDetails) else []
    return [
        {
            "id": call.id,
            "project_id": project_id,
            "run_id": step.run_id,
            "step_id": step.id,
            "turn": turn,
            "position": position,
            "type": call.type,
            "name": call.function.name,
            "arguments": call.function.arguments,
            "output": call.function.output,
        }
        for position, call in enumerate(calls)
    ]
