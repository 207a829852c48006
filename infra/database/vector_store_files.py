"""Files in vector stores: read, changed and removed, with the numbers of their store and batch.

Every transaction locks the store before it changes files, so that the numbers agree with the rows at any time. The
order of all locks is in `vector_stores.py`.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, select

from infra.database import changed_files, deleted_items, file_attributes, index_deletions, vector_stores
from infra.database.attribute_filters import condition
from infra.database.columns import AnyRow
from infra.database.file_counts import count, count_in_batch
from infra.database.pages import load_page
from infra.database.vector_store_tables import VECTOR_STORE_FILES
from models.lists import Page, PageRequest
from models.search_index import IndexedFile, IndexedStore
from models.vector_store_errors import StoreFileNotFound
from models.vector_store_search import Filter
from models.vector_stores import ShownChunking, ShownSizes, StoreFileStatus, VectorStoreFile

NOUN = "file"
_F = VECTOR_STORE_FILES
_STORE: BindParameter[Any] = bindparam("store")
_FILE: BindParameter[Any] = bindparam("file")
_IN_STORE = (_F.c.store_id == _STORE, _F.c.id == _FILE)
_LOAD = select(_F).where(*_IN_STORE, _F.c.project_id == bindparam("project"))
_EXISTING = select(_F).where(_F.c.store_id == _STORE, _F.c.id.in_(bindparam("files", expanding=True)))
_STATES = select(_F.c.id, _F.c.generation, _F.c.status).where(
    _F.c.store_id == _STORE, _F.c.id.in_(bindparam("files", expanding=True))
)
_REMOVE = delete(_F).where(*_IN_STORE).returning(_F)
_STORES_OF = select(_F.c.store_id).where(_F.c.id.in_(bindparam("files", expanding=True)))
_SEARCHABLE = select(_F.c.id, _F.c.generation).where(
    _F.c.store_id == _STORE, _F.c.status == StoreFileStatus.COMPLETED.value
)


def load(connection: Connection, project_id: str, store_id: str, file_id: str) -> VectorStoreFile:
    """Raises `NotFound`, `StoreFileNotFound`."""
    return to_file(find(connection, project_id, store_id, file_id))


def find(connection: Connection, project_id: str, store_id: str, file_id: str) -> AnyRow:
    """Raises `NotFound`, `StoreFileNotFound`."""
    vector_stores.load(connection, project_id, store_id)
    row = connection.execute(_LOAD, {"store": store_id, "file": file_id, "project": project_id}).one_or_none()
    if row is None:
        raise StoreFileNotFound(file_id, store_id)
    return row


def list_page(
    connection: Connection,
    project_id: str,
    store_id: str,
    page: PageRequest,
    status: StoreFileStatus | None,
    batch_id: str | None = None,
) -> Page[VectorStoreFile]:
    """The files of a store, or of a batch of it. Raises `NotFound`."""
    vector_stores.load(connection, project_id, store_id)
    scope: dict[str, Any] = {"store_id": store_id} if batch_id is None else {"batch_id": batch_id}
    only = [] if status is None else [_F.c.status == status.value]
    deleted = {"project_id": project_id, "thread_id": None}
    rows, has_more = load_page(
        connection,
        _F,
        NOUN,
        page,
        scope,
        deleted=deleted,
        deleted_as=lambda file_id: _place_id(store_id, file_id),
        only=only,
        without=("chunk_overlaps",),
    )
    return Page[VectorStoreFile].of([to_file(row) for row in rows], has_more)


def modify(
    connection: Connection, project_id: str, store_id: str, file_id: str, attributes: dict[str, Any]
) -> VectorStoreFile:
    """Replace the attributes. Raises `NotFound`, `VectorStoreExpired`, `StoreFileNotFound`."""
    store = vector_stores.lock_open(connection, project_id, store_id)
    row = find(connection, project_id, store_id, file_id)
    return to_file(file_attributes.replace(connection, store, row, attributes))


def remove(connection: Connection, project_id: str, store_id: str, file_id: str) -> tuple[IndexedStore, IndexedFile]:
    """Take a file out of a store, and have its chunks removed. Returns both as the index has them.

    Raises `NotFound`, `StoreFileNotFound`.
    """
    store = vector_stores.lock_any(connection, store_id)
    if store is None or store.project_id != project_id:
        vector_stores.load(connection, project_id, store_id)
    taken = _take_out(connection, store, file_id) if store else None
    if store is None or taken is None:
        raise StoreFileNotFound(file_id, store_id)
    return vector_stores.indexed(store), taken


def lock_stores_of(connection: Connection, file_ids: Sequence[str]) -> Sequence[AnyRow]:
    """Lock every store that has one of these files, which are locked: no other store gets one of them."""
    store_ids = set(connection.scalars(_STORES_OF, {"files": list(file_ids)})) if file_ids else ()
    return vector_stores.lock_all(connection, store_ids)


def remove_everywhere(connection: Connection, file_id: str) -> None:
    """Take a file whose row was deleted out of every store."""
    for store in lock_stores_of(connection, [file_id]):
        _take_out(connection, store, file_id)


def _take_out(connection: Connection, store: AnyRow, file_id: str) -> IndexedFile | None:
    """None where the store, which is locked, does not have the file: it may have been taken out meanwhile."""
    row = connection.execute(_REMOVE, {"store": store.id, "file": file_id}).one_or_none()
    if row is None:
        return None
    taken = IndexedFile(row.id, row.generation)
    file_attributes.unindex(connection, row)
    changed_files.remember_removed(connection, store, file_id)
    count(connection, store.id, {row.status: -1, "usage_bytes": -row.usage_bytes})
    if row.batch_id and row.status == StoreFileStatus.IN_PROGRESS:
        count_in_batch(connection, row.batch_id, {"in_progress": -1, "cancelled": 1})
    index_deletions.add(connection, store.project_id, vector_stores.indexed(store), taken)
    place = _place_id(store.id, file_id)
    deleted_items.forget(connection, place)
    deleted_items.remember(connection, store.project_id, None, place, row.seq)
    return taken


def searchable(connection: Connection, store_id: str, given: Filter | None) -> Sequence[IndexedFile]:
    """The completed files that match a filter."""
    query = _SEARCHABLE if given is None else _SEARCHABLE.where(condition(given))
    return list(map(IndexedFile._make, connection.execute(query, {"store": store_id})))


def searchable_among(connection: Connection, store_id: str, file_ids: Collection[str]) -> Sequence[IndexedFile]:
    """Those of some files that are completed."""
    # The status is not in the query: SQLite would find the files by it, which are nearly all of the store.
    rows = connection.execute(_STATES, {"store": store_id, "files": list(file_ids)})
    return [IndexedFile(row.id, row.generation) for row in rows if row.status == StoreFileStatus.COMPLETED]


def named(connection: Connection, store_id: str, file_ids: Collection[str]) -> dict[str, AnyRow]:
    """Rows of files of a store by id."""
    rows = connection.execute(_EXISTING, {"store": store_id, "files": list(file_ids)}) if file_ids else ()
    return {row.id: row for row in rows}


def _place_id(store_id: str, file_id: str) -> str:
    """Under what `deleted_items` keeps the place of a file in its store: its own id may be deleted from many."""
    return f"{store_id}/{file_id}"


def to_file(row: AnyRow) -> VectorStoreFile:
    sizes = ShownSizes(max_chunk_size_tokens=row.max_chunk_size_tokens, chunk_overlap_tokens=row.chunk_overlap_tokens)
    return VectorStoreFile(
        id=row.id,
        usage_bytes=row.usage_bytes,
        created_at=row.created_at,
        vector_store_id=row.store_id,
        status=StoreFileStatus(row.status),
        last_error=row.last_error,
        chunking_strategy=ShownChunking(static=sizes),
        attributes=row.attributes,
    )
