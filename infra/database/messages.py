"""Reads and writes of messages."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from infra.clock import now_seconds
from infra.database import deleted_items, message_counts
from infra.database.pages import load_page
from infra.database.tables import DeletedItemRow, MessageRow
from models.errors import NotFound
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.messages import CreateMessageRequest, Message, MessageStatus, ModifyMessageRequest, TextInput

NOUN = "message"


async def add(
    session: AsyncSession,
    project_id: str,
    thread_id: str,
    bodies: Sequence[CreateMessageRequest],
    queued_behind: int | None = None,
) -> list[Message]:
    """Append messages to a thread, in their order.

    The caller holds the thread's lock, and saw no active run or has them wait: `queued_behind` is from
    `thread_queue.admit_or_enqueue`. Raises `ThreadFull`.
    """
    if not bodies:
        return []
    now = now_seconds()
    if await message_counts.make_room(session, thread_id, len(bodies)) > len(bodies):
        # Answers are dated up to a second ahead, and nothing that comes after one is to seem older.
        now = max(now, await session.scalar(newest_message_at(thread_id)) or 0)
    rows = [
        MessageRow(
            id=new_id(Prefix.MESSAGE),
            project_id=project_id,
            thread_id=thread_id,
            created_at=now,
            status=MessageStatus.COMPLETED,
            completed_at=now,
            role=body.role,
            content=_stored_content(body),
            attachments=[],
            metadata_=body.metadata or {},
            queued_behind=queued_behind,
        )
        for body in bodies
    ]
    session.add_all(rows)
    await session.flush()
    return [to_message(row) for row in rows]


def newest_message_at(thread_id: ColumnElement[str] | InstrumentedAttribute[str] | str) -> Select[int]:
    """When the newest message of a thread was created."""
    times = select(MessageRow.created_at).where(MessageRow.thread_id == thread_id)
    return times.order_by(MessageRow.seq.desc()).limit(1)


async def load(session: AsyncSession, project_id: str, thread_id: str, message_id: str) -> Message:
    """Raises `NotFound`."""
    row = await session.scalar(select(MessageRow).where(*_owned(project_id, thread_id, message_id)))
    if row is None:
        raise NotFound.of(NOUN, message_id)
    return to_message(row)


async def list_page(
    session: AsyncSession, project_id: str, thread_id: str, page: PageRequest, run_id: str | None
) -> Page[Message]:
    scope = [MessageRow.thread_id == thread_id, MessageRow.project_id == project_id]
    if run_id is not None:
        scope.append(MessageRow.run_id == run_id)
    deleted = (DeletedItemRow.project_id == project_id, DeletedItemRow.thread_id == thread_id)
    rows, has_more = await load_page(session, MessageRow, NOUN, page, *scope, deleted=deleted)
    return Page[Message].of([to_message(row) for row in rows], has_more)


async def modify(
    session: AsyncSession, project_id: str, thread_id: str, message_id: str, body: ModifyMessageRequest
) -> Message:
    """Replace the metadata where `body` has it. Raises `NotFound`."""
    if "metadata" in body.model_fields_set:
        owned = _owned(project_id, thread_id, message_id)
        await session.execute(update(MessageRow).where(*owned).values(metadata_=body.metadata or {}))
    return await load(session, project_id, thread_id, message_id)


async def remove(session: AsyncSession, project_id: str, thread_id: str, message_id: str) -> None:
    """Raises `NotFound`; the transaction is void then."""
    # First, as it locks the thread: everyone who locks both begins with the thread.
    await message_counts.count_deletion(session, thread_id)
    owned = _owned(project_id, thread_id, message_id)
    seq = await session.scalar(delete(MessageRow).where(*owned).returning(MessageRow.seq))
    if seq is None:
        raise NotFound.of(NOUN, message_id)
    await deleted_items.remember(session, project_id, thread_id, message_id, seq)


def _owned(project_id: str, thread_id: str, message_id: str) -> tuple[ColumnElement[bool], ...]:
    return (MessageRow.id == message_id, MessageRow.thread_id == thread_id, MessageRow.project_id == project_id)


def _stored_content(body: CreateMessageRequest) -> list[dict[str, Any]]:
    if isinstance(body.content, str):
        return [text_content(body.content)]
    return [
        text_content(part.text) if isinstance(part, TextInput) else part.model_dump(mode="json")
        for part in body.content
    ]


def text_content(text: str) -> dict[str, Any]:
    """Text as it is stored and sent: an object, where clients send a string."""
    return {"type": "text", "text": {"value": text, "annotations": []}}


def refusal_content(refusal: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": refusal}


def to_message(row: MessageRow) -> Message:
    return Message(
        id=row.id,
        created_at=row.created_at,
        thread_id=row.thread_id,
        status=row.status,
        incomplete_details={"reason": row.incomplete_reason} if row.incomplete_reason else None,
        completed_at=row.completed_at,
        incomplete_at=row.incomplete_at,
        role=row.role,
        content=row.content,
        assistant_id=row.assistant_id,
        run_id=row.run_id,
        attachments=row.attachments,
        metadata=row.metadata_,
    )
