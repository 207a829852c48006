"""Reads and writes of run steps, each with its tool calls."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from infra.clock import now_seconds
from infra.database import tool_calls
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.run_tables import RUN_STEPS
from models.answered_steps import EmittedStep
from models.errors import NotFound
from models.lists import Page, PageRequest
from models.run_steps import (
    MessageCreation,
    MessageCreationDetails,
    RunStep,
    StepStatus,
    StepType,
    ToolCallsDetails,
)
from models.tool_calls import ToolCall
from models.tool_formats.formats import FORMATS

NOUN = "run step"

DEFERRED = ("delta_sizes",)
"""Columns that only the replay of a run's events reads."""

_RUN: BindParameter[Any] = bindparam("run")
_TURN: BindParameter[Any] = bindparam("of_turn")
COLUMNS = [column for column in RUN_STEPS.c if column.name not in DEFERRED]
_LOAD_ANY = select(*COLUMNS).where(RUN_STEPS.c.id == bindparam("step"), RUN_STEPS.c.run_id == _RUN)
_LOAD = _LOAD_ANY.where(RUN_STEPS.c.project_id == bindparam("project"))
_INSERT = insert(RUN_STEPS)
_CALLS_OF_TURN = (
    RUN_STEPS.c.run_id == _RUN,
    RUN_STEPS.c.turn == _TURN,
    RUN_STEPS.c.type == StepType.TOOL_CALLS.value,
)
_REOPEN = (
    update(RUN_STEPS)
    .where(*_CALLS_OF_TURN, RUN_STEPS.c.status == StepStatus.FAILED.value)
    .values(status=StepStatus.IN_PROGRESS.value, failed_at=None, last_error=None, expires_at=bindparam("new_expiry"))
)
_COMPLETE = (
    update(RUN_STEPS)
    .where(*_CALLS_OF_TURN)
    .values(status=StepStatus.COMPLETED.value, completed_at=bindparam("now"), expires_at=None)
    .returning(*COLUMNS)
)


@dataclass(frozen=True)
class StoredStep:
    """A step as clients see it, and its calls."""

    step: RunStep
    calls: Sequence[ToolCall] = ()


def reopen(connection: Connection, run_id: str, turn: int, expires_at: int | None) -> None:
    """Put a failed step of a turn's calls in progress again."""
    connection.execute(_REOPEN, {"run": run_id, "of_turn": turn, "new_expiry": expires_at})


def load(connection: Connection, project_id: str, run_id: str, step_id: str, with_content: bool = False) -> RunStep:
    """`with_content`: with what only `include[]` shows. Raises `NotFound`."""
    row = connection.execute(_LOAD, {"step": step_id, "run": run_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, step_id)
    return with_calls(connection, [row], with_content)[0].step


def load_any(connection: Connection, run_id: str, step_id: str, with_content: bool = False) -> RunStep | None:
    """A step of a run of any project, for streams of a run that the client may read."""
    row = connection.execute(_LOAD_ANY, {"step": step_id, "run": run_id}).one_or_none()
    return with_calls(connection, [row], with_content)[0].step if row else None


def list_page(
    connection: Connection, project_id: str, run_id: str, page: PageRequest, with_content: bool = False
) -> Page[RunStep]:
    scope = {"run_id": run_id, "project_id": project_id}
    rows, has_more = load_page(connection, RUN_STEPS, NOUN, page, scope, without=DEFERRED)
    return Page[RunStep].of([each.step for each in with_calls(connection, rows, with_content)], has_more)


def complete(connection: Connection, run_id: str, turn: int) -> RunStep:
    """Complete the step of a turn's calls, all of which are answered. Returns the step."""
    completed = connection.execute(_COMPLETE, {"run": run_id, "of_turn": turn, "now": now_seconds()})
    return with_calls(connection, [completed.one()])[0].step


def store(connection: Connection, project_id: str, turn: int, emitted: Iterable[EmittedStep]) -> None:
    """Insert the steps of an answer, with their calls."""
    for each in emitted:
        step = each.answered.step
        connection.execute(_INSERT, _values(project_id, turn, each))
        tool_calls.store(connection, project_id, step.run_id, step.id, each.answered.calls)


def with_calls(connection: Connection, rows: Sequence[AnyRow], with_content: bool = False) -> list[StoredStep]:
    """The steps of these rows, with their calls."""
    calls = tool_calls.of_steps(connection, [row.id for row in rows if row.type == StepType.TOOL_CALLS])
    return [StoredStep(to_step(row, calls.get(row.id, ()), with_content), calls.get(row.id, ())) for row in rows]


def to_step(row: AnyRow, calls: Sequence[ToolCall] = (), with_content: bool = False) -> RunStep:
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
        step_details=_details(row, calls, with_content),
        metadata=row.metadata,
        usage=None if row.status == StepStatus.IN_PROGRESS else row.usage,
    )


def _details(row: AnyRow, calls: Sequence[ToolCall], with_content: bool) -> MessageCreationDetails | ToolCallsDetails:
    if row.type == StepType.MESSAGE_CREATION:
        return MessageCreationDetails(message_creation=MessageCreation(message_id=row.message_id))
    return ToolCallsDetails(tool_calls=[FORMATS[call.kind].step_call(call, with_content) for call in calls])


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
