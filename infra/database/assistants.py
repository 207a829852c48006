"""Reads and writes of assistants."""

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from infra.clock import now_seconds
from infra.database import deleted_items, interpreter_files
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.thread_tables import ASSISTANTS
from models.assistants import Assistant, CreateAssistantRequest, ModifyAssistantRequest
from models.errors import NotFound
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.tools import FileSearchResources, ToolResources

NOUN = "assistant"
CLEARED: dict[str, Any] = {
    "response_format": "auto",
    "tools": [],
    "tool_resources": {},
    "metadata": {},
}
"""The values of non-nullable fields that a client sets to null."""


NEVER_NULL = {"model", "tools"}
"""Null leaves these fields unchanged: programs send it for every field that they do not mean to change."""

_OWNED = (ASSISTANTS.c.id == bindparam("assistant_id"), ASSISTANTS.c.project_id == bindparam("project"))
_LOAD = select(ASSISTANTS).where(*_OWNED)
_LOCK = _LOAD.with_for_update()
_SET_RESOURCES = update(ASSISTANTS).where(*_OWNED).values(tool_resources=bindparam("new_resources"))
_CREATE = insert(ASSISTANTS)
_MODIFY = update(ASSISTANTS).where(*_OWNED)
_REMOVE = delete(ASSISTANTS).where(*_OWNED).returning(ASSISTANTS.c.seq)


def create(
    connection: Connection, project_id: str, body: CreateAssistantRequest, resources: ToolResources | None = None
) -> Assistant:
    """`resources` are the tool resources of `body` by ids."""
    sent = body.model_dump(mode="json", by_alias=True, exclude={"tool_resources"})
    fields = CLEARED | {name: value for name, value in sent.items() if value is not None}
    if resources is not None:
        fields["tool_resources"] = resources.model_dump(mode="json")
    assistant_id = new_id(Prefix.ASSISTANT)
    connection.execute(_CREATE, {"id": assistant_id, "project_id": project_id, "created_at": now_seconds(), **fields})
    return load(connection, project_id, assistant_id)


def load(connection: Connection, project_id: str, assistant_id: str) -> Assistant:
    """Raises `NotFound`."""
    row = connection.execute(_LOAD, {"assistant_id": assistant_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, assistant_id)
    (assistant,) = interpreter_files.with_existing(connection, [_to_assistant(row)])
    return assistant


def list_page(connection: Connection, project_id: str, page: PageRequest) -> Page[Assistant]:
    deleted = {"project_id": project_id, "thread_id": None}
    scope = {"project_id": project_id}
    rows, has_more = load_page(connection, ASSISTANTS, NOUN, page, scope, deleted=deleted)
    found = interpreter_files.with_existing(connection, [_to_assistant(row) for row in rows])
    return Page[Assistant].of(found, has_more)


def modify(connection: Connection, project_id: str, assistant_id: str, body: ModifyAssistantRequest) -> Assistant:
    """Change the fields that `body` has. Raises `NotFound`, `TooManyPairs`."""
    sent = body.model_dump(mode="json", by_alias=True, include=body.model_fields_set)
    if "metadata" in sent:
        sent["metadata"] = body.metadata_after(_lock(connection, project_id, assistant_id).metadata)
    changes = {name: CLEARED.get(name) if value is None else value for name, value in sent.items()}
    for name in NEVER_NULL & changes.keys():
        if sent[name] is None:
            del changes[name]
    if changes:
        connection.execute(_MODIFY.values(changes), {"assistant_id": assistant_id, "project": project_id})
    return load(connection, project_id, assistant_id)


def lock(connection: Connection, project_id: str, assistant_id: str) -> ToolResources:
    """Keep other transactions from changing the assistant. Returns its tool resources. Raises `NotFound`."""
    return _to_assistant(_lock(connection, project_id, assistant_id)).tool_resources


def set_file_search(connection: Connection, project_id: str, assistant_id: str, resources: FileSearchResources) -> None:
    """Replace the vector stores of a locked assistant."""
    before = load(connection, project_id, assistant_id).tool_resources
    after = before.model_copy(update={"file_search": resources}).model_dump(mode="json")
    owned = {"assistant_id": assistant_id, "project": project_id}
    connection.execute(_SET_RESOURCES, {**owned, "new_resources": after})


def remove(connection: Connection, project_id: str, assistant_id: str) -> None:
    """Raises `NotFound`. Runs of the assistant keep their copy of its settings."""
    seq: int | None = connection.scalar(_REMOVE, {"assistant_id": assistant_id, "project": project_id})
    if seq is None:
        raise NotFound.of(NOUN, assistant_id)
    deleted_items.remember(connection, project_id, None, assistant_id, seq)


def _lock(connection: Connection, project_id: str, assistant_id: str) -> AnyRow:
    row = connection.execute(_LOCK, {"assistant_id": assistant_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, assistant_id)
    return row


def _to_assistant(row: AnyRow) -> Assistant:
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
        metadata=row.metadata,
        response_format=row.response_format,
    )
