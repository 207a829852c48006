"""Reads and writes of assistants."""

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds
from infra.database import deleted_items
from infra.database.pages import load_page
from infra.database.tables import AssistantRow, DeletedItemRow
from models.assistants import Assistant, CreateAssistantRequest, ModifyAssistantRequest
from models.errors import NotFound
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest

NOUN = "assistant"
CLEARED: dict[str, Any] = {
    "response_format": "auto",
    "tools": [],
    "tool_resources": {},
    "metadata": {},
}
"""What a field that cannot be null becomes when a client sets it to null."""


NEVER_NULL = {"model", "tools"}
"""Null says nothing of these: programs send it for every field that they do not mean to change."""


async def create(session: AsyncSession, project_id: str, body: CreateAssistantRequest) -> Assistant:
    sent = body.model_dump(mode="json", by_alias=True)
    fields = CLEARED | {name: value for name, value in sent.items() if value is not None}
    row = AssistantRow(
        id=new_id(Prefix.ASSISTANT),
        project_id=project_id,
        created_at=now_seconds(),
        metadata_=fields.pop("metadata"),
        **fields,
    )
    session.add(row)
    await session.flush()
    return _to_assistant(row)


async def load(session: AsyncSession, project_id: str, assistant_id: str) -> Assistant:
    """Raises `NotFound`."""
    query = select(AssistantRow).where(AssistantRow.id == assistant_id, AssistantRow.project_id == project_id)
    row = await session.scalar(query)
    if row is None:
        raise NotFound.of(NOUN, assistant_id)
    return _to_assistant(row)


async def list_page(session: AsyncSession, project_id: str, page: PageRequest) -> Page[Assistant]:
    deleted = (DeletedItemRow.project_id == project_id, DeletedItemRow.thread_id.is_(None))
    scope = AssistantRow.project_id == project_id
    rows, has_more = await load_page(session, AssistantRow, NOUN, page, scope, deleted=deleted)
    return Page[Assistant].of([_to_assistant(row) for row in rows], has_more)


async def modify(session: AsyncSession, project_id: str, assistant_id: str, body: ModifyAssistantRequest) -> Assistant:
    """Change the fields that `body` has. Raises `NotFound`."""
    sent = body.model_dump(mode="json", by_alias=True, include=body.model_fields_set)
    changes = {name: CLEARED.get(name) if value is None else value for name, value in sent.items()}
    for name in NEVER_NULL & changes.keys():
        if sent[name] is None:
            del changes[name]
    if changes:
        await session.execute(
            update(AssistantRow.__table__)  # type: ignore[arg-type]
            .where(AssistantRow.id == assistant_id, AssistantRow.project_id == project_id)
            .values(changes)
        )
    return await load(session, project_id, assistant_id)


async def remove(session: AsyncSession, project_id: str, assistant_id: str) -> None:
    """Raises `NotFound`. Runs that the assistant made keep their copy of what they were made with."""
    seq = await session.scalar(
        delete(AssistantRow)
        .where(AssistantRow.id == assistant_id, AssistantRow.project_id == project_id)
        .returning(AssistantRow.seq)
    )
    if seq is None:
        raise NotFound.of(NOUN, assistant_id)
    await deleted_items.remember(session, project_id, None, assistant_id, seq)


def _to_assistant(row: AssistantRow) -> Assistant:
    return Assistant(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        description=row.description,
        model=row.model,
        instructions=row.instructions,
        tools=row.tools,
        top_p=row.top_p,
        temperature=row.temperature,
        reasoning_effort=row.reasoning_effort,
        tool_resources=row.tool_resources,
        metadata=row.metadata_,
        response_format=row.response_format,
    )
