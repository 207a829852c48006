"""Reads of run steps, each with its tool calls."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.pages import load_page
from infra.database.tables import RunStepRow, ToolCallRow
from models.errors import NotFound
from models.lists import Page, PageRequest
from models.run_steps import RunStep, StepStatus, StepType

NOUN = "run step"


async def load(session: AsyncSession, project_id: str, run_id: str, step_id: str) -> RunStep:
    """Raises `NotFound`."""
    row = await session.scalar(select(RunStepRow).where(RunStepRow.id == step_id, *_owned(project_id, run_id)))
    if row is None:
        raise NotFound.of(NOUN, step_id)
    return (await with_calls(session, [row]))[0]


async def list_page(session: AsyncSession, project_id: str, run_id: str, page: PageRequest) -> Page[RunStep]:
    rows, has_more = await load_page(session, RunStepRow, NOUN, page, *_owned(project_id, run_id))
    return Page[RunStep].of(await with_calls(session, rows), has_more)


async def with_calls(session: AsyncSession, rows: Sequence[RunStepRow]) -> list[RunStep]:
    """The steps as clients see them."""
    calls: dict[str, list[ToolCallRow]] = {row.id: [] for row in rows if row.type == StepType.TOOL_CALLS}
    if calls:
        query = (
            select(ToolCallRow)
            .where(ToolCallRow.step_id.in_(calls))
            .order_by(ToolCallRow.step_id, ToolCallRow.position)
        )
        for call in await session.scalars(query):
            calls[call.step_id].append(call)
    return [to_step(row, calls.get(row.id, [])) for row in rows]


def _owned(project_id: str, run_id: str) -> tuple[ColumnElement[bool], ...]:
    return (RunStepRow.run_id == run_id, RunStepRow.project_id == project_id)


def to_step(row: RunStepRow, calls: Sequence[ToolCallRow] = ()) -> RunStep:
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
        metadata=row.metadata_,
        usage=None if row.status == StepStatus.IN_PROGRESS else row.usage,
    )


def _details(row: RunStepRow, calls: Sequence[ToolCallRow]) -> dict[str, Any]:
    if row.type == StepType.MESSAGE_CREATION:
        return {"type": row.type, "message_creation": {"message_id": row.message_id}}
    return {"type": row.type, "tool_calls": [_call(call) for call in calls]}


def _call(call: ToolCallRow) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments, "output": call.output}
    return {"id": call.id, "type": call.type, "function": function}
