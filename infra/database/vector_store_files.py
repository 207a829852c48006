"""Files in vector stores: added, moved from state to state, removed; each with the numbers of its store and batch.

Every transaction locks the store before it changes files, so that the numbers agree with the rows at any time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from infra.clock import now_ms, now_seconds
from infra.database import deleted_items, index_deletions, vector_stores
from infra.database.attribute_filters import attribute_row, condition
from infra.database.pages import load_page
from infra.database.tables import (
    FILES,
    IS_INGESTED_NOW,
    VECTOR_STORE_FILE_ATTRIBUTES,
    VECTOR_STORE_FILE_BATCHES,
    VECTOR_STORE_FILES,
    AnyRow,
)
from models.errors import FileNotFound, StoreFileNotFound, UnsupportedExtensions, VectorStoreFull, WrongStatus
from models.ingestion import IngestEnd, IngestInput
from models.lists import Page, PageRequest
from models.search_index import IndexedFile, IndexedStore
from models.vector_store_search import Filter
from models.vector_stores import (
    MAX_FILES_OF_STORE,
    Attachment,
    ShownChunking,
    ShownSizes,
    StoreFileStatus,
    VectorStoreFile,
    unsupported_extensions,
)

NOUN = "file"
CHECK_AFTER_MS = 30_000
"""A workflow that is not at its file by then may have been lost."""

_F = VECTOR_STORE_FILES
_STORE: BindParameter[Any] = bindparam("store")
_FILE: BindParameter[Any] = bindparam("file")
_IN_STORE = (_F.c.store_id == _STORE, _F.c.id == _FILE)
_OF_GENERATION = (*_IN_STORE, _F.c.generation == bindparam("of_generation"), IS_INGESTED_NOW)
_LOAD = select(_F).where(*_IN_STORE, _F.c.project_id == bindparam("project"))
_EXISTING = select(_F).where(_F.c.store_id == _STORE, _F.c.id.in_(bindparam("files", expanding=True)))
# A deletion of the file waits, on Postgres, until the file is in the store, and then takes it out.
_SOURCES = (
    select(FILES.c.id, FILES.c.filename)
    .where(FILES.c.project_id == bindparam("project"), FILES.c.id.in_(bindparam("files", expanding=True)))
    .with_for_update(read=True, key_share=True)
)
_ADD = insert(_F)
_RESTART = (
    update(_F)
    .where(_F.c.seq == bindparam("of_seq"))
    .values(
        status=StoreFileStatus.IN_PROGRESS.value,
        generation=bindparam("new_generation"),
        batch_id=bindparam("new_batch"),
        usage_bytes=0,
        last_error=None,
        ended_at=None,
        max_chunk_size_tokens=bindparam("new_maximum"),
        chunk_overlap_tokens=bindparam("new_overlap"),
        next_check_at=bindparam("check_at"),
    )
)
_SET_BATCH = update(_F).where(_F.c.seq == bindparam("of_seq")).values(batch_id=bindparam("new_batch"))
_SET_ATTRIBUTES = (
    update(_F).where(_F.c.seq == bindparam("of_seq")).values(attributes=bindparam("new_attributes")).returning(_F)
)
_UNINDEX_ATTRIBUTES = delete(VECTOR_STORE_FILE_ATTRIBUTES).where(
    VECTOR_STORE_FILE_ATTRIBUTES.c.file_seq == bindparam("of_seq")
)
_INDEX_ATTRIBUTES = insert(VECTOR_STORE_FILE_ATTRIBUTES)
_FIND_INGESTED = select(_F).where(*_OF_GENERATION)
_END = (
    update(_F)
    .where(*_OF_GENERATION)
    .values(
        status=bindparam("new_status"),
        last_error=bindparam("new_error", type_=_F.c.last_error.type),
        usage_bytes=bindparam("new_usage"),
        chunks=bindparam("new_chunks"),
        chunk_overlaps=bindparam("new_overlaps", type_=_F.c.chunk_overlaps.type),
        ended_at=bindparam("now"),
    )
    .returning(_F.c.batch_id)
)
_CANCEL_BATCH = (
    update(_F)
    .where(_F.c.batch_id == bindparam("of_batch"), IS_INGESTED_NOW)
    .values(status=StoreFileStatus.CANCELLED.value, ended_at=bindparam("now"))
    .returning(_F.c.id)
)
_REMOVE = delete(_F).where(*_IN_STORE, _F.c.project_id == bindparam("project")).returning(_F)
_STORES_OF = select(_F.c.store_id).where(_F.c.id == _FILE, _F.c.project_id == bindparam("project")).order_by(_F.c.seq)
_COUNT_IN_BATCH = (
    update(VECTOR_STORE_FILE_BATCHES)
    .where(VECTOR_STORE_FILE_BATCHES.c.id == bindparam("of_batch"))
    .values({name: VECTOR_STORE_FILE_BATCHES.c[name] + bindparam(f"more_{name}") for name in vector_stores.COUNTED})
)
_SEARCHABLE = select(_F.c.id, _F.c.generation).where(
    _F.c.store_id == _STORE, _F.c.status == StoreFileStatus.COMPLETED.value
)
_SEARCHABLE_AMONG = _SEARCHABLE.where(_F.c.id.in_(bindparam("files", expanding=True)))
_DUE = (
    select(_F)
    .where(IS_INGESTED_NOW, _F.c.next_check_at <= bindparam("now"))
    .order_by(_F.c.next_check_at)
    .limit(bindparam("most"))
)
_CHECK_LATER = update(_F).where(_F.c.seq == bindparam("of_seq")).values(next_check_at=bindparam("check_at"))
_PENDING_OF_BATCH = (
    select(_F)
    .where(_F.c.batch_id == bindparam("of_batch"), IS_INGESTED_NOW, _F.c.seq > bindparam("after"))
    .order_by(_F.c.seq)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Added:
    """The files as they are now, and those of them that have to be ingested."""

    files: Sequence[VectorStoreFile]
    to_ingest: Sequence[IngestInput]


def add(connection: Connection, store: AnyRow, attachments: Sequence[Attachment], batch_id: str | None = None) -> Added:
    """Add files to a locked store. One that is there already is ingested again where that may change anything.

    Raises `FileNotFound`, `UnsupportedExtensions`, `VectorStoreFull`.
    """
    ids = [each.file_id for each in attachments]
    names = _names(connection, store.project_id, ids)
    existing = {row.id: row for row in connection.execute(_EXISTING, {"store": store.id, "files": ids})}
    new = [each for each in attachments if each.file_id not in existing]
    if sum(vector_stores.counts_of(store).model_dump(exclude={"total"}).values()) + len(new) > MAX_FILES_OF_STORE:
        raise VectorStoreFull(MAX_FILES_OF_STORE)
    _insert(connection, store, new, names, batch_id)
    for each in attachments:
        if each.file_id in existing:
            _add_again(connection, store, existing[each.file_id], each, batch_id)
    rows = {row.id: row for row in connection.execute(_EXISTING, {"store": store.id, "files": ids})}
    _index_new(connection, [(rows[each.file_id], each.attributes) for each in new])
    if batch_id is not None:
        _count_in_batch(connection, batch_id, Counter(row.status for row in rows.values()))
    found = [rows[file_id] for file_id in ids]
    pending = [ingest_input(row) for row in found if row.status == StoreFileStatus.IN_PROGRESS]
    return Added([to_file(row) for row in found], pending)


def _names(connection: Connection, project_id: str, ids: Sequence[str]) -> dict[str, str]:
    names = {row.id: row.filename for row in connection.execute(_SOURCES, {"project": project_id, "files": list(ids)})}
    for file_id in ids:
        if file_id not in names:
            raise FileNotFound(file_id)
    if refused := unsupported_extensions(list(names.values())):
        raise UnsupportedExtensions(refused)
    return names


def _insert(
    connection: Connection, store: AnyRow, new: Sequence[Attachment], names: dict[str, str], batch_id: str | None
) -> None:
    if not new:
        return
    now = now_ms()
    rows = [
        {
            "id": each.file_id,
            "project_id": store.project_id,
            "store_id": store.id,
            "created_at": now // 1000,
            "filename": names[each.file_id],
            "status": StoreFileStatus.IN_PROGRESS.value,
            "generation": now,
            "batch_id": batch_id,
            "max_chunk_size_tokens": each.sizes.maximum,
            "chunk_overlap_tokens": each.sizes.overlap,
            "attributes": each.attributes or {},
            "next_check_at": now + CHECK_AFTER_MS,
        }
        for each in new
    ]
    connection.execute(_ADD, rows)
    vector_stores.count(connection, store.id, {"in_progress": len(rows)})


def _add_again(
    connection: Connection, store: AnyRow, row: AnyRow, attachment: Attachment, batch_id: str | None
) -> None:
    if attachment.attributes is not None:
        _set_attributes(connection, row, attachment.attributes)
    sizes = attachment.sizes
    is_same = (row.max_chunk_size_tokens, row.chunk_overlap_tokens) == (sizes.maximum, sizes.overlap)
    if row.status == StoreFileStatus.COMPLETED and is_same:
        if batch_id is not None:
            connection.execute(_SET_BATCH, {"of_seq": row.seq, "new_batch": batch_id})
        return
    if row.status == StoreFileStatus.IN_PROGRESS and is_same and batch_id is None:
        return
    restart(connection, store, row, batch_id, sizes.maximum, sizes.overlap)


def restart(
    connection: Connection, store: AnyRow, row: AnyRow, batch_id: str | None, maximum: int, overlap: int
) -> None:
    """Have a file ingested anew. What is at work on it now is superseded, and counts as cancelled in its batch."""
    if row.status == StoreFileStatus.IN_PROGRESS and row.batch_id:
        _count_in_batch(connection, row.batch_id, {"in_progress": -1, "cancelled": 1})
    now = now_ms()
    changes = {
        "of_seq": row.seq,
        "new_generation": max(now, row.generation + 1),
        "new_batch": batch_id,
        "new_maximum": maximum,
        "new_overlap": overlap,
        "check_at": now + CHECK_AFTER_MS,
    }
    connection.execute(_RESTART, changes)
    moved = Counter({row.status: -1})
    moved[StoreFileStatus.IN_PROGRESS.value] += 1
    vector_stores.count(connection, store.id, {**moved, "usage_bytes": -row.usage_bytes})


def retry(connection: Connection, project_id: str, store_id: str, file_id: str) -> AnyRow:
    """Have a failed file ingested anew, as part of the batch that it came with. Returns its row.

    Raises `NotFound`, `VectorStoreExpired`, `StoreFileNotFound`, `WrongStatus`.
    """
    store = vector_stores.lock_open(connection, project_id, store_id)
    row = find(connection, project_id, store_id, file_id)
    if row.status != StoreFileStatus.FAILED:
        raise WrongStatus.for_retry_of_file(row.status)
    restart(connection, store, row, row.batch_id, row.max_chunk_size_tokens, row.chunk_overlap_tokens)
    if row.batch_id:
        _count_in_batch(connection, row.batch_id, {"failed": -1, "in_progress": 1})
    return find(connection, project_id, store_id, file_id)


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
    vector_stores.lock_open(connection, project_id, store_id)
    row = find(connection, project_id, store_id, file_id)
    return to_file(_set_attributes(connection, row, attributes))


def remove(connection: Connection, project_id: str, store_id: str, file_id: str) -> IndexedStore:
    """Take a file out of a store, and have its chunks removed. Raises `NotFound`, `StoreFileNotFound`."""
    store = vector_stores.lock_any(connection, store_id)
    if store is None or store.project_id != project_id:
        vector_stores.load(connection, project_id, store_id)
    removed = {"store": store_id, "file": file_id, "project": project_id}
    row = connection.execute(_REMOVE, removed).one_or_none()
    if store is None or row is None:
        raise StoreFileNotFound(file_id, store_id)
    connection.execute(_UNINDEX_ATTRIBUTES, {"of_seq": row.seq})
    vector_stores.count(connection, store_id, {row.status: -1, "usage_bytes": -row.usage_bytes})
    if row.batch_id and row.status == StoreFileStatus.IN_PROGRESS:
        _count_in_batch(connection, row.batch_id, {"in_progress": -1, "cancelled": 1})
    index_deletions.add(connection, project_id, vector_stores.indexed(store), file_id)
    place = _place_id(store_id, file_id)
    deleted_items.forget(connection, place)
    deleted_items.remember(connection, project_id, None, place, row.seq)
    return vector_stores.indexed(store)


def remove_everywhere(connection: Connection, project_id: str, file_id: str) -> Sequence[IndexedStore]:
    """Take a file that is deleted out of every store of its project. Returns those stores."""
    store_ids = connection.scalars(_STORES_OF, {"file": file_id, "project": project_id}).all()
    return [remove(connection, project_id, store_id, file_id) for store_id in sorted(store_ids)]


def find_ingested(connection: Connection, file: IngestInput) -> tuple[AnyRow, IndexedStore] | None:
    """The row of a file that is to be ingested, and its store. None: it is not in progress in this generation."""
    row = connection.execute(_FIND_INGESTED, _of(file)).one_or_none()
    store = vector_stores.find_any(connection, file.store_id) if row else None
    return (row, vector_stores.indexed(store)) if row and store else None


def is_ingested(connection: Connection, file: IngestInput) -> bool:
    """Whether the file is in progress in this generation."""
    return connection.execute(_FIND_INGESTED, _of(file)).one_or_none() is not None


def status_of(connection: Connection, file: IngestInput) -> StoreFileStatus:
    """How an ingestion that has ended stands. One that was superseded or whose file was removed is cancelled."""
    row = connection.execute(_EXISTING, {"store": file.store_id, "files": [file.file_id]}).one_or_none()
    if row is None or row.generation != file.generation:
        return StoreFileStatus.CANCELLED
    return StoreFileStatus(row.status)


def end(connection: Connection, ended: IngestEnd, overlaps: Sequence[int] = ()) -> bool:
    """Move a file from `in_progress` to the state it ends in. False where it is not in progress in its generation."""
    file = ended.file
    store = vector_stores.lock_any(connection, file.store_id)
    if store is None:
        return False
    changes = {
        "new_status": ended.status.value,
        "new_error": {"code": ended.error.code.value, "message": ended.error.message} if ended.error else None,
        "new_usage": ended.usage_bytes,
        "new_chunks": len(overlaps),
        "new_overlaps": list(overlaps),
        "now": now_seconds(),
    }
    row = connection.execute(_END, _of(file) | changes).one_or_none()
    if row is None:
        return False
    moved = {"in_progress": -1, ended.status.value: 1}
    vector_stores.count(connection, file.store_id, moved | {"usage_bytes": ended.usage_bytes})
    if row.batch_id:
        _count_in_batch(connection, row.batch_id, moved)
    if ended.status is not StoreFileStatus.COMPLETED:
        # Some of its chunks may be in the index.
        index_deletions.add(connection, store.project_id, vector_stores.indexed(store), file.file_id)
    return True


def cancel_batch(connection: Connection, store: AnyRow, batch_id: str) -> None:
    """Cancel the files of a batch that are in progress; its store is locked."""
    cancelled = connection.scalars(_CANCEL_BATCH, {"of_batch": batch_id, "now": now_seconds()}).all()
    for file_id in cancelled:
        index_deletions.add(connection, store.project_id, vector_stores.indexed(store), file_id)
    moved = {"in_progress": -len(cancelled), "cancelled": len(cancelled)}
    vector_stores.count(connection, store.id, moved)
    _count_in_batch(connection, batch_id, moved)


def searchable(
    connection: Connection, store_id: str, given: Filter | None, limit: int = MAX_FILES_OF_STORE
) -> Sequence[IndexedFile]:
    """Up to `limit` of the completed files that match a filter."""
    query = _SEARCHABLE if given is None else _SEARCHABLE.where(condition(given))
    rows = connection.execute(query.limit(bindparam("most")), {"store": store_id, "most": limit})
    return [IndexedFile(row.id, row.generation) for row in rows]


def searchable_among(
    connection: Connection, store_id: str, given: Filter | None, file_ids: Collection[str]
) -> Sequence[IndexedFile]:
    """Those of some files that are completed and match a filter."""
    query = _SEARCHABLE_AMONG if given is None else _SEARCHABLE_AMONG.where(condition(given))
    rows = connection.execute(query, {"store": store_id, "files": list(file_ids)})
    return [IndexedFile(row.id, row.generation) for row in rows]


def named(connection: Connection, store_id: str, file_ids: Collection[str]) -> dict[str, AnyRow]:
    """Rows of files of a store by id."""
    rows = connection.execute(_EXISTING, {"store": store_id, "files": list(file_ids)}) if file_ids else ()
    return {row.id: row for row in rows}


def take_due(connection: Connection, limit: int, later_ms: int) -> Sequence[AnyRow]:
    """Files in progress that the reconciler has to look at now, the longest due first; next time after `later_ms`."""
    now = now_ms()
    rows = connection.execute(_DUE, {"now": now, "most": limit}).all()
    if rows:
        connection.execute(_CHECK_LATER, [{"of_seq": row.seq, "check_at": now + later_ms} for row in rows])
    return rows


def pending_of_batch(connection: Connection, batch_id: str, after: int, limit: int) -> Sequence[AnyRow]:
    return connection.execute(_PENDING_OF_BATCH, {"of_batch": batch_id, "after": after, "most": limit}).all()


def ingest_input(row: AnyRow) -> IngestInput:
    return IngestInput(row.store_id, row.id, row.generation)


def _of(file: IngestInput) -> dict[str, Any]:
    return {"store": file.store_id, "file": file.file_id, "of_generation": file.generation}


def _count_in_batch(connection: Connection, batch_id: str, changes: "Counter[str] | dict[str, int]") -> None:
    more = {f"more_{name}": changes.get(name, 0) for name in vector_stores.COUNTED}
    connection.execute(_COUNT_IN_BATCH, {"of_batch": batch_id, **more})


def _set_attributes(connection: Connection, row: AnyRow, attributes: dict[str, Any]) -> AnyRow:
    connection.execute(_UNINDEX_ATTRIBUTES, {"of_seq": row.seq})
    _index(connection, [attribute_row(row, key, value) for key, value in attributes.items()])
    return connection.execute(_SET_ATTRIBUTES, {"of_seq": row.seq, "new_attributes": attributes}).one()


def _index_new(connection: Connection, new: Iterable[tuple[AnyRow, dict[str, Any] | None]]) -> None:
    pairs = [attribute_row(row, key, value) for row, given in new for key, value in (given or {}).items()]
    _index(connection, pairs)


def _index(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    if rows:
        connection.execute(_INDEX_ATTRIBUTES, list(rows))


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
