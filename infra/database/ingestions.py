"""The ingestion of files into vector stores: which are in progress, and how each one ends.

A file is ingested in a generation; what an earlier generation does comes to nothing. Every transaction that ends one
locks the store first, as those do that add and remove files.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from infra.clock import now_ms, now_seconds
from infra.database import index_deletions, vector_stores
from infra.database.columns import AnyRow
from infra.database.file_counts import count, count_in_batch, next_version
from infra.database.vector_store_tables import IS_INGESTED_NOW, VECTOR_STORE_FILES
from models.ingestion import IngestEnd, IngestInput
from models.search_index import IndexedFile, IndexedStore
from models.vector_stores import StoreFileStatus

_F = VECTOR_STORE_FILES
_IN_STORE = (_F.c.store_id == bindparam("store"), _F.c.id == bindparam("file"))
_FIND = select(_F.c.status, _F.c.generation).where(*_IN_STORE)
_OF_GENERATION = (*_IN_STORE, _F.c.generation == bindparam("of_generation"), IS_INGESTED_NOW)
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
        files_version=bindparam("new_version"),
    )
    .returning(_F.c.batch_id)
)
_CANCEL_BATCH = (
    update(_F)
    .where(_F.c.batch_id == bindparam("of_batch"), IS_INGESTED_NOW)
    .values(status=StoreFileStatus.CANCELLED.value, ended_at=bindparam("now"), files_version=bindparam("new_version"))
    .returning(_F.c.id, _F.c.generation)
)
_DUE = (
    select(_F)
    .where(IS_INGESTED_NOW, _F.c.next_check_at <= bindparam("now"))
    .order_by(_F.c.next_check_at)
    .limit(bindparam("most"))
    # A file that is locked moves on. To wait for it, without the lock of its store, might be a deadlock.
    .with_for_update(skip_locked=True)
)
_CHECK_LATER = update(_F).where(_F.c.seq == bindparam("of_seq")).values(next_check_at=bindparam("check_at"))
_PENDING_OF_BATCH = (
    select(_F)
    .where(_F.c.batch_id == bindparam("of_batch"), IS_INGESTED_NOW, _F.c.seq > bindparam("after"))
    .order_by(_F.c.seq)
    .limit(bindparam("most"))
)


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
    row = connection.execute(_FIND, {"store": file.store_id, "file": file.file_id}).one_or_none()
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
        "new_version": next_version(store),
    }
    row = connection.execute(_END, _of(file) | changes).one_or_none()
    if row is None:
        return False
    moved = {"in_progress": -1, ended.status.value: 1}
    count(connection, file.store_id, moved | {"usage_bytes": ended.usage_bytes})
    if row.batch_id:
        count_in_batch(connection, row.batch_id, moved)
    if ended.status is not StoreFileStatus.COMPLETED:
        # Some of its chunks may be in the index.
        indexed = IndexedFile(file.file_id, file.generation)
        index_deletions.add(connection, store.project_id, vector_stores.indexed(store), indexed)
    return True


def cancel_batch(connection: Connection, store: AnyRow, batch_id: str) -> None:
    """Cancel the files of a batch that are in progress; its store is locked."""
    changes = {"of_batch": batch_id, "now": now_seconds(), "new_version": next_version(store)}
    cancelled = connection.execute(_CANCEL_BATCH, changes).all()
    for row in cancelled:
        indexed = IndexedFile(row.id, row.generation)
        index_deletions.add(connection, store.project_id, vector_stores.indexed(store), indexed)
    moved = {"in_progress": -len(cancelled), "cancelled": len(cancelled)}
    count(connection, store.id, moved)
    count_in_batch(connection, batch_id, moved)


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
