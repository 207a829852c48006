"""Reads and writes of messages."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, bindparam, delete, insert, select, update

from infra.clock import now_seconds
from infra.database import deleted_items, message_counts
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.thread_tables import MESSAGES
from models.errors import NotFound
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.messages import (
    CreateMessageRequest,
    Message,
    MessageContent,
    MessageStatus,
    ModifyMessageRequest,
    Text,
    TextContent,
    TextInput,
)

NOUN = "message"


def newest_message_at(thread_id: ColumnElement[str]) -> ScalarSelect[int]:
    """The creation time of a thread's newest message, for a statement that selects the thread."""
    return _newest_at(thread_id).scalar_subquery()


def _newest_at(thread_id: ColumnElement[str]) -> Select[tuple[int]]:
    times = select(MESSAGES.c.created_at).where(MESSAGES.c.thread_id == thread_id)
    return times.order_by(MESSAGES.c.seq.desc()).limit(1)


_OWNED = (
    MESSAGES.c.id == bindparam("message"),
    MESSAGES.c.thread_id == bindparam("thread"),
    MESSAGES.c.project_id == bindparam("project"),
)
_INSERT = insert(MESSAGES)
_NEWEST_AT = _newest_at(bindparam("thread"))
_LOAD = select(MESSAGES).where(*_OWNED)
_LOCK = select(MESSAGES.c.metadata).where(*_OWNED).with_for_update()
_MODIFY = update(MESSAGES).where(*_OWNED).values(metadata=bindparam("new_metadata"))
_REMOVE = delete(MESSAGES).where(*_OWNED).returning(MESSAGES.c.seq)


def add(
    connection: Connection,
    project_id: str,
    thread_id: str,
    bodies: Sequence[CreateMessageRequest],
    queued_behind: int | None = None,
) -> list[Message]:
    """Append messages to a thread, in their order.

    The caller has locked the thread, and found no active run or enqueues the messages: `queued_behind` is the result of
    `thread_queue.admit_or_enqueue`. Raises `ThreadFull`.
    """
    if not bodies:
        return []
    now = now_seconds()
    if message_counts.make_room(connection, thread_id, len(bodies)) > len(bodies):
        # Answers are dated up to a second ahead, and a later message must not appear older.
        now = max(now, newest_at(connection, thread_id))
    messages = [
        Message(
            id=new_id(Prefix.MESSAGE),
            created_at=now,
            thread_id=thread_id,
            status=MessageStatus.COMPLETED,
            incomplete_details=None,
            completed_at=now,
            incomplete_at=None,
            role=body.role,
            content=_content(body),
            assistant_id=None,
            run_id=None,
            attachments=body.attachments or [],
            metadata=body.metadata or {},
        )
        for body in bodies
    ]
    store(connection, project_id, messages, queued_behind)
    return messages


def store(
    connection: Connection, project_id: str, messages: Sequence[Message], queued_behind: int | None = None
) -> None:
    """Insert messages that the caller has counted."""
    connection.execute(_INSERT, [_values(project_id, message, queued_behind) for message in messages])


def newest_at(connection: Connection, thread_id: str) -> int:
    """The creation time of the thread's newest message (seconds); 0 if there is none."""
    return connection.scalar(_NEWEST_AT, {"thread": thread_id}) or 0


def load(connection: Connection, project_id: str, thread_id: str, message_id: str) -> Message:
    """Raises `NotFound`."""
    row = connection.execute(_LOAD, _owned(project_id, thread_id, message_id)).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, message_id)
    return to_message(row)


def list_page(
    connection: Connection, project_id: str, thread_id: str, page: PageRequest, run_id: str | None
) -> Page[Message]:
    scope = {"thread_id": thread_id, "project_id": project_id}
    deleted = {"project_id": project_id, "thread_id": thread_id}
    listed = scope if run_id is None else {**scope, "run_id": run_id}
    rows, has_more = load_page(connection, MESSAGES, NOUN, page, listed, deleted=deleted)
    return Page[Message].of([to_message(row) for row in rows], has_more)


def modify(
    connection: Connection, project_id: str, thread_id: str, message_id: str, body: ModifyMessageRequest
) -> Message:
    """Change the metadata where `body` has it. Raises `NotFound`, `TooManyPairs`."""
    owned = _owned(project_id, thread_id, message_id)
    row = connection.execute(_LOCK, owned).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, message_id)
    connection.execute(_MODIFY, {**owned, "new_metadata": body.metadata_after(row.metadata)})
    return load(connection, project_id, thread_id, message_id)


def remove(connection: Connection, project_id: str, thread_id: str, message_id: str) -> None:
    """Raises `NotFound`; the transaction must be rolled back then."""
    # First, because it locks the thread: transactions that lock both begin with the thread.
    message_counts.count_deletion(connection, thread_id)
    seq: int | None = connection.scalar(_REMOVE, _owned(project_id, thread_id, message_id))
    if seq is None:
        raise NotFound.of(NOUN, message_id)
    deleted_items.remember(connection, project_id, thread_id, message_id, seq)


def _owned(project_id: str, thread_id: str, message_id: str) -> dict[str, Any]:
    return {"message": message_id, "thread": thread_id, "project": project_id}


def _content(body: CreateMessageRequest) -> list[MessageContent]:
    """Text is a string in requests and is stored as an object."""
    parts = [TextInput(type="text", text=body.content)] if isinstance(body.content, str) else body.content
    return [TextContent(text=Text(value=part.text)) if isinstance(part, TextInput) else part for part in parts]


def _values(project_id: str, message: Message, queued_behind: int | None) -> dict[str, Any]:
    fields = message.model_dump(mode="json", exclude={"object", "incomplete_details"})
    details = message.incomplete_details
    reason = details.reason if details else None
    return {**fields, "project_id": project_id, "incomplete_reason": reason, "queued_behind": queued_behind}


def to_message(row: AnyRow) -> Message:
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
        metadata=row.metadata,
    )
