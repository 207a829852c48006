"""Reads and writes of vector stores. Their numbers of files change with the files: see `file_counts.py`.

Transactions lock rows in one order, so that no two wait for each other: files, then stores by id, then files in stores.
A thread or an assistant that gets files is locked before them.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, delete, insert, or_, select, update

from infra.clock import now_seconds
from infra.database import deleted_items, index_deletions
from infra.database.columns import AnyRow
from infra.database.file_counts import counts_of
from infra.database.pages import load_page
from infra.database.vector_store_tables import (
    CAN_EXPIRE,
    REMOVED_STORE_FILES,
    VECTOR_STORE_FILE_ATTRIBUTES,
    VECTOR_STORE_FILE_BATCHES,
    VECTOR_STORE_FILES,
    VECTOR_STORES,
)
from models.errors import NotFound
from models.ids import Prefix, new_dated_id
from models.lists import Page, PageRequest
from models.search_index import IndexedStore
from models.vector_store_errors import VectorStoreExpired
from models.vector_stores import (
    SECONDS_PER_DAY,
    CreateVectorStoreRequest,
    Expiry,
    ModifyVectorStoreRequest,
    ShownExpiry,
    VectorStore,
)

NOUN = "vector store"
USE_RESOLUTION_SECONDS = 60
"""Of a store that never expires. The expiry of another one follows each second of use."""

_STORE: Any = bindparam("store")
_NOW: Any = bindparam("now", type_=BigInteger)
_OWNED = (VECTOR_STORES.c.id == _STORE, VECTOR_STORES.c.project_id == bindparam("project"))
_LOAD = select(VECTOR_STORES).where(*_OWNED)
_LOCK = _LOAD.with_for_update()
_FIND_ANY = select(VECTOR_STORES).where(VECTOR_STORES.c.id == _STORE)
_LOCK_ANY = _FIND_ANY.with_for_update()
_LOCK_ALL = (
    select(VECTOR_STORES)
    .where(VECTOR_STORES.c.id.in_(bindparam("stores", expanding=True)))
    .order_by(VECTOR_STORES.c.id)
    .with_for_update()
)
_CREATE = insert(VECTOR_STORES)
_MODIFY = (
    update(VECTOR_STORES)
    .where(VECTOR_STORES.c.id == _STORE)
    .values(
        name=bindparam("new_name"),
        metadata=bindparam("new_metadata"),
        expires_after_days=bindparam("new_days"),
        expires_at=bindparam("new_expiry"),
    )
)
_TOUCH = (
    update(VECTOR_STORES)
    .where(
        VECTOR_STORES.c.id == _STORE,
        VECTOR_STORES.c.last_active_at < _NOW,
        VECTOR_STORES.c.is_emptied.is_(False),
        or_(VECTOR_STORES.c.expires_at.is_(None), VECTOR_STORES.c.expires_at > _NOW),
    )
    # Without days the sum is NULL.
    .values(last_active_at=_NOW, expires_at=_NOW + VECTOR_STORES.c.expires_after_days * SECONDS_PER_DAY)
)
_EXPIRED = (
    select(VECTOR_STORES)
    .where(CAN_EXPIRE, VECTOR_STORES.c.expires_at <= _NOW)
    .order_by(VECTOR_STORES.c.expires_at)
    .limit(bindparam("most"))
    # A store that is locked may be used, and then expires later.
    .with_for_update(skip_locked=True)
)
_MARK_EMPTIED = (
    update(VECTOR_STORES)
    .where(VECTOR_STORES.c.id == _STORE)
    .values(is_emptied=True, in_progress=0, completed=0, failed=0, cancelled=0, usage_bytes=0)
)
_REMOVE_FILES = (
    delete(VECTOR_STORE_FILE_ATTRIBUTES).where(VECTOR_STORE_FILE_ATTRIBUTES.c.store_id == _STORE),
    delete(VECTOR_STORE_FILES).where(VECTOR_STORE_FILES.c.store_id == _STORE),
    delete(REMOVED_STORE_FILES).where(REMOVED_STORE_FILES.c.store_id == _STORE),
)
_B = VECTOR_STORE_FILE_BATCHES
_CANCEL_BATCHES = (
    update(_B)
    .where(_B.c.store_id == _STORE, _B.c.in_progress > 0)
    .values(cancelled=_B.c.cancelled + _B.c.in_progress, in_progress=0)
)
_REMOVE_BATCHES = delete(VECTOR_STORE_FILE_BATCHES).where(VECTOR_STORE_FILE_BATCHES.c.store_id == _STORE)
_REMOVE = delete(VECTOR_STORES).where(VECTOR_STORES.c.id == _STORE)


def create(
    connection: Connection,
    project_id: str,
    body: CreateVectorStoreRequest,
    embedding_model: str | None,
    dimensions: int,
) -> VectorStore:
    """Create an empty store, whose vectors will be of `embedding_model`; None: it is searched by keywords alone."""
    now = now_seconds()
    store_id = new_dated_id(Prefix.VECTOR_STORE, now)
    days = body.expires_after.days if body.expires_after else None
    row = {
        "id": store_id,
        "project_id": project_id,
        "created_at": now,
        "name": body.name,
        "description": body.description,
        "metadata": body.metadata or {},
        "expires_after_days": days,
        "expires_at": _expiry(now, days),
        "last_active_at": now,
        "is_emptied": False,
        "embedding_model": embedding_model,
        "dimensions": dimensions,
    }
    connection.execute(_CREATE, row)
    return load(connection, project_id, store_id)


def load(connection: Connection, project_id: str, store_id: str) -> VectorStore:
    """Raises `NotFound`."""
    return _to_store(_find(connection, _LOAD, project_id, store_id))


def exists(connection: Connection, project_id: str, store_id: str) -> bool:
    """Whether the project has the store, expired or not."""
    return connection.execute(_LOAD, {"store": store_id, "project": project_id}).one_or_none() is not None


def find_open(connection: Connection, project_id: str, store_id: str) -> AnyRow:
    """The row of a store that can be used. Raises `NotFound`, `VectorStoreExpired`."""
    return _open(_find(connection, _LOAD, project_id, store_id))


def lock_open(connection: Connection, project_id: str, store_id: str) -> AnyRow:
    """Keep other transactions from changing the store and its files. Raises `NotFound`, `VectorStoreExpired`."""
    return _open(_find(connection, _LOCK, project_id, store_id))


def find_any(connection: Connection, store_id: str) -> AnyRow | None:
    """A store of any project, for the engine. None: it was deleted."""
    return connection.execute(_FIND_ANY, {"store": store_id}).one_or_none()


def lock_any(connection: Connection, store_id: str) -> AnyRow | None:
    """Lock a store of any project, for the engine. None: it was deleted."""
    return connection.execute(_LOCK_ANY, {"store": store_id}).one_or_none()


def lock_all(connection: Connection, store_ids: Collection[str]) -> Sequence[AnyRow]:
    """Lock several stores. One that was deleted meanwhile is missing."""
    return connection.execute(_LOCK_ALL, {"stores": list(store_ids)}).all() if store_ids else ()


def list_page(connection: Connection, project_id: str, page: PageRequest) -> Page[VectorStore]:
    deleted = {"project_id": project_id, "thread_id": None}
    rows, has_more = load_page(connection, VECTOR_STORES, NOUN, page, {"project_id": project_id}, deleted=deleted)
    return Page[VectorStore].of([_to_store(row) for row in rows], has_more)


def modify(connection: Connection, project_id: str, store_id: str, body: ModifyVectorStoreRequest) -> VectorStore:
    """Raises `NotFound`, `VectorStoreExpired`."""
    row = lock_open(connection, project_id, store_id)
    sent = body.model_fields_set
    days = _days(body.expires_after) if "expires_after" in sent else row.expires_after_days
    changes = {
        "store": store_id,
        "new_name": body.name if "name" in sent else row.name,
        "new_metadata": body.metadata_after(row.metadata),
        "new_days": days,
        "new_expiry": _expiry(row.last_active_at, days),
    }
    connection.execute(_MODIFY, changes)
    return load(connection, project_id, store_id)


def is_use_due(row: AnyRow) -> bool:
    """Whether the use of a store now has to be stored. So searches in the same second do not queue for its row."""
    resolution = USE_RESOLUTION_SECONDS if row.expires_after_days is None else 1
    return bool(row.last_active_at + resolution <= now_seconds())


def touch(connection: Connection, store_id: str) -> None:
    """The store was used now: it expires so many days later. One that has expired stays as it is."""
    connection.execute(_TOUCH, {"store": store_id, "now": now_seconds()})


def remove(connection: Connection, project_id: str, store_id: str) -> IndexedStore:
    """Delete the store with all it holds, and have its index dropped. Raises `NotFound`."""
    row = _find(connection, _LOCK, project_id, store_id)
    _remove_files(connection, row)
    connection.execute(_REMOVE_BATCHES, {"store": store_id})
    connection.execute(_REMOVE, {"store": store_id})
    deleted_items.remember(connection, project_id, None, store_id, row.seq)
    return indexed(row)


def empty_expired(connection: Connection, limit: int) -> Sequence[IndexedStore]:
    """Remove what up to `limit` expired stores hold, the longest expired first. Returns them.

    What was in progress in their batches counts as cancelled there.
    """
    expired = connection.execute(_EXPIRED, {"now": now_seconds(), "most": limit}).all()
    for row in expired:
        _remove_files(connection, row)
        connection.execute(_CANCEL_BATCHES, {"store": row.id})
        connection.execute(_MARK_EMPTIED, {"store": row.id})
    return [indexed(row) for row in expired]


def indexed(row: AnyRow) -> IndexedStore:
    return IndexedStore(row.id, row.embedding_model, row.dimensions)


def _remove_files(connection: Connection, row: AnyRow) -> None:
    for part in _REMOVE_FILES:
        connection.execute(part, {"store": row.id})
    index_deletions.add(connection, row.project_id, indexed(row), None)


def _find(connection: Connection, query: Select[Any], project_id: str, store_id: str) -> AnyRow:
    row = connection.execute(query, {"store": store_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, store_id)
    return row


def _open(row: AnyRow) -> AnyRow:
    if _has_expired(row):
        raise VectorStoreExpired(row.id)
    return row


def _has_expired(row: AnyRow) -> bool:
    return row.is_emptied or (row.expires_at is not None and row.expires_at <= now_seconds())


def _days(expiry: Expiry | None) -> int | None:
    return expiry.days if expiry else None


def _expiry(last_active_at: int, days: int | None) -> int | None:
    return None if days is None else last_active_at + days * SECONDS_PER_DAY


def _to_store(row: AnyRow) -> VectorStore:
    return VectorStore(
        id=row.id,
        created_at=row.created_at,
        name=row.name,
        description=row.description,
        usage_bytes=row.usage_bytes,
        file_counts=counts_of(row),
        status="expired" if _has_expired(row) else "in_progress" if row.in_progress else "completed",
        expires_after=None if row.expires_after_days is None else ShownExpiry(days=row.expires_after_days),
        expires_at=row.expires_at,
        last_active_at=row.last_active_at,
        metadata=row.metadata,
    )
