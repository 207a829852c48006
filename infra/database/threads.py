"""Reads and writes of threads, and the lock of a thread.

Postgres runs transactions on one thread concurrently. A transaction that changes the active run, the queue, or the
place of a message locks the thread's row first and other rows after it: so such transactions are serialized, and
never deadlock.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from infra.clock import now_seconds
from infra.database import deleted_items, interpreter_files, messages, sandbox_files, sandbox_sessions
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.run_tables import IS_ACTIVE, RUN_RETRIES, RUN_STEPS, RUNS, TOOL_CALLS, TURNS
from infra.database.tables import DELETED_ITEMS
from infra.database.thread_tables import MESSAGES, THREAD_METADATA, THREADS
from models.errors import NotFound
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.messages import OnActiveRun
from models.threads import CreateThreadRequest, ModifyThreadRequest, Thread
from models.tools import ToolResources

NOUN = "thread"
REJECT: OnActiveRun = "reject"

_THREAD: BindParameter[Any] = bindparam("thread")
_OWNED = (THREADS.c.id == _THREAD, THREADS.c.project_id == bindparam("project"))
_INSERT = insert(THREADS).returning(THREADS.c.seq)
_INDEX_METADATA = insert(THREAD_METADATA)
_UNINDEX_METADATA = delete(THREAD_METADATA).where(THREAD_METADATA.c.thread_seq == bindparam("seq"))
_LOAD = select(THREADS).where(*_OWNED)
_MODIFY = (
    update(THREADS)
    .where(THREADS.c.seq == bindparam("of_seq"))
    .values(
        metadata=bindparam("new_metadata"),
        on_active_run=bindparam("new_on_active_run"),
        tool_resources=bindparam("new_tool_resources"),
    )
    .returning(THREADS)
)
_SET_RESOURCES = (
    update(THREADS).where(THREADS.c.seq == bindparam("of_seq")).values(tool_resources=bindparam("new_tool_resources"))
)
_ACTIVE_RUN_ID = select(RUNS.c.id).where(RUNS.c.thread_id == _THREAD, IS_ACTIVE)
_LOCK_ACTIVE_RUN = _ACTIVE_RUN_ID.with_for_update()
_ITS_RUNS = select(RUNS.c.id).where(RUNS.c.thread_id == _THREAD)
_REMOVE = (
    delete(TOOL_CALLS).where(TOOL_CALLS.c.run_id.in_(_ITS_RUNS)),
    delete(TURNS).where(TURNS.c.run_id.in_(_ITS_RUNS)),
    delete(RUN_RETRIES).where(RUN_RETRIES.c.run_id.in_(_ITS_RUNS)),
    delete(RUN_STEPS).where(RUN_STEPS.c.run_id.in_(_ITS_RUNS)),
    delete(RUNS).where(RUNS.c.thread_id == _THREAD),
    delete(MESSAGES).where(MESSAGES.c.thread_id == _THREAD),
    delete(DELETED_ITEMS).where(DELETED_ITEMS.c.thread_id == _THREAD),
    delete(THREADS).where(THREADS.c.id == _THREAD),
)


def _locked(query: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    # SQLite has no row locks and needs none: it has one writer at a time.
    return query.with_for_update(of=THREADS)


_LOCK_OWNED = _locked(_LOAD)
_LOCK = _locked(select(THREADS).where(THREADS.c.id == _THREAD))
_LOCK_OF_RUN = _locked(select(THREADS).where(RUNS.c.id == bindparam("run"), RUNS.c.thread_id == THREADS.c.id))


def create(
    connection: Connection, project_id: str, body: CreateThreadRequest, resources: ToolResources | None = None
) -> Thread:
    """Create a thread with the messages of `body`; `resources` are its tool resources by ids. Raises `ThreadFull`."""
    resources = resources or ToolResources()
    metadata, on_active_run = body.metadata or {}, body.on_active_run or REJECT
    thread = Thread(
        id=new_id(Prefix.THREAD),
        created_at=now_seconds(),
        tool_resources=resources,
        metadata=metadata,
        on_active_run=None if on_active_run == REJECT else on_active_run,
    )
    values = {
        "id": thread.id,
        "project_id": project_id,
        "created_at": thread.created_at,
        "tool_resources": resources.model_dump(mode="json"),
        "metadata": metadata,
        "on_active_run": on_active_run,
        "has_queue": False,
    }
    seq = connection.execute(_INSERT, values).scalar_one()
    _index_metadata(connection, project_id, seq, metadata)
    messages.add(connection, project_id, thread.id, body.messages or [])
    return thread


def load(connection: Connection, project_id: str, thread_id: str) -> Thread:
    """Raises `NotFound`."""
    return _to_thread(connection, _find(connection, _LOAD, project_id, thread_id))


def list_page(connection: Connection, project_id: str, page: PageRequest, metadata: Mapping[str, str]) -> Page[Thread]:
    """The project's threads that have all pairs of `metadata`."""
    pairs = [(THREAD_METADATA.alias(), key, value) for key, value in metadata.items()]
    only = [condition for pair, key, value in pairs for condition in _has_pair(pair, key, value, project_id)]
    deleted = {"project_id": project_id, "thread_id": None}
    order_by = pairs[0][0].c.thread_seq if pairs else None
    scope = {"project_id": project_id}
    rows, has_more = load_page(connection, THREADS, NOUN, page, scope, deleted=deleted, order_by=order_by, only=only)
    return Page[Thread].of(interpreter_files.with_existing(connection, [_thread_of(row) for row in rows]), has_more)


def modify(connection: Connection, project_id: str, thread_id: str, body: ModifyThreadRequest) -> Thread:
    """Change the fields that `body` has. Raises `NotFound`, `TooManyPairs`."""
    row = lock(connection, project_id, thread_id)
    metadata, on_active_run, resources = body.metadata_after(row.metadata), row.on_active_run, row.tool_resources
    if metadata != row.metadata:
        connection.execute(_UNINDEX_METADATA, {"seq": row.seq})
        _index_metadata(connection, project_id, row.seq, metadata)
    if "on_active_run" in body.model_fields_set:
        on_active_run = body.on_active_run or REJECT
    if "tool_resources" in body.model_fields_set:
        resources = (body.tool_resources or ToolResources()).model_dump(mode="json")
    changes = {
        "of_seq": row.seq,
        "new_metadata": metadata,
        "new_on_active_run": on_active_run,
        "new_tool_resources": resources,
    }
    return _to_thread(connection, connection.execute(_MODIFY, changes).one())


def set_resources(connection: Connection, seq: int, resources: ToolResources) -> None:
    """Replace the tool resources of a locked thread."""
    connection.execute(_SET_RESOURCES, {"of_seq": seq, "new_tool_resources": resources.model_dump(mode="json")})


def remove(connection: Connection, project_id: str, thread_id: str) -> str | None:
    """Delete the thread and all its objects. Returns the id of its active run. Raises `NotFound`."""
    row = lock(connection, project_id, thread_id)
    this = {"thread": thread_id}
    active: str | None = connection.scalar(_LOCK_ACTIVE_RUN, this)
    connection.execute(_UNINDEX_METADATA, {"seq": row.seq})
    for part in _REMOVE:
        connection.execute(part, this)
    # After its runs: a call that ends now has stored its files, or finds no run.
    sandbox_files.remove_all(connection, project_id, thread_id)
    sandbox_sessions.close(connection, thread_id)
    deleted_items.remember(connection, project_id, None, thread_id, row.seq)
    return active


def lock(connection: Connection, project_id: str, thread_id: str) -> AnyRow:
    """Keep other transactions from adding messages or runs until this one ends. Raises `NotFound`."""
    return _find(connection, _LOCK_OWNED, project_id, thread_id)


def lock_any(connection: Connection, thread_id: str) -> AnyRow | None:
    """Lock a thread of any project, for the engine. None: it was deleted."""
    return connection.execute(_LOCK, {"thread": thread_id}).one_or_none()


def lock_of_run(connection: Connection, run_id: str) -> AnyRow | None:
    """Lock the thread of a run. None: both were deleted."""
    return connection.execute(_LOCK_OF_RUN, {"run": run_id}).one_or_none()


def active_run_id(connection: Connection, thread_id: str) -> str | None:
    active: str | None = connection.scalar(_ACTIVE_RUN_ID, {"thread": thread_id})
    return active


def _find(connection: Connection, query: Select[tuple[object, ...]], project_id: str, thread_id: str) -> AnyRow:
    row = connection.execute(query, {"thread": thread_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, thread_id)
    return row


def _has_pair(pair: FromClause, key: str, value: str, project_id: str) -> list[ColumnElement[bool]]:
    is_of_thread = (pair.c.thread_seq == THREADS.c.seq, pair.c.project_id == project_id)
    return [*is_of_thread, pair.c.key == key, pair.c.value == value]


def _index_metadata(connection: Connection, project_id: str, seq: int, metadata: Mapping[str, str]) -> None:
    if metadata:
        pairs = [
            {"thread_seq": seq, "key": key, "value": value, "project_id": project_id} for key, value in metadata.items()
        ]
        connection.execute(_INDEX_METADATA, pairs)


def _to_thread(connection: Connection, row: AnyRow) -> Thread:
    (thread,) = interpreter_files.with_existing(connection, [_thread_of(row)])
    return thread


def _thread_of(row: AnyRow) -> Thread:
    return Thread(
        id=row.id,
        created_at=row.created_at,
        tool_resources=row.tool_resources,
        metadata=row.metadata,
        on_active_run=None if row.on_active_run == REJECT else row.on_active_run,
    )
