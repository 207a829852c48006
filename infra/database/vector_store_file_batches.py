"""Batches of files that are added to a vector store together. Their numbers change with their files."""

from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from infra.clock import now_seconds
from infra.database import ingestions, vector_store_additions, vector_stores
from infra.database.columns import AnyRow
from infra.database.file_counts import counts_of
from infra.database.vector_store_tables import VECTOR_STORE_FILE_BATCHES
from models.errors import NotFound, WrongStatus
from models.ids import Prefix, new_dated_id
from models.vector_stores import Attachment, FileBatch

NOUN = "file batch"

_B = VECTOR_STORE_FILE_BATCHES
_BATCH: Any = bindparam("batch")
_LOAD = select(_B).where(
    _B.c.id == _BATCH, _B.c.store_id == bindparam("store"), _B.c.project_id == bindparam("project")
)
_CREATE = insert(_B)
_CANCEL = update(_B).where(_B.c.id == _BATCH).values(is_cancelled=True)


def create(connection: Connection, store: AnyRow, attachments: list[Attachment]) -> FileBatch:
    """Add files as a batch. The store and the errors are those of `vector_store_additions.add`."""
    now = now_seconds()
    batch_id = new_dated_id(Prefix.FILE_BATCH, now)
    row = {
        "id": batch_id,
        "project_id": store.project_id,
        "store_id": store.id,
        "created_at": now,
        "is_cancelled": False,
    }
    connection.execute(_CREATE, row)
    vector_store_additions.add(connection, store, attachments, batch_id)
    return load(connection, store.project_id, store.id, batch_id)


def load(connection: Connection, project_id: str, store_id: str, batch_id: str) -> FileBatch:
    """Raises `NotFound`."""
    vector_stores.load(connection, project_id, store_id)
    row = connection.execute(_LOAD, {"batch": batch_id, "store": store_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, batch_id)
    return _to_batch(row)


def cancel(connection: Connection, project_id: str, store_id: str, batch_id: str) -> FileBatch:
    """Cancel the files that are in progress. Raises `NotFound`, `VectorStoreExpired`, `WrongStatus`."""
    store = vector_stores.lock_open(connection, project_id, store_id)
    batch = load(connection, project_id, store_id, batch_id)
    if batch.status == "cancelled":
        return batch
    if batch.status != "in_progress":
        raise WrongStatus.for_cancel_of_batch(batch.status)
    connection.execute(_CANCEL, {"batch": batch_id})
    ingestions.cancel_batch(connection, store, batch_id)
    return load(connection, project_id, store_id, batch_id)


def _to_batch(row: AnyRow) -> FileBatch:
    counts = counts_of(row)
    return FileBatch(
        id=row.id,
        created_at=row.created_at,
        vector_store_id=row.store_id,
        status=_status(row),
        file_counts=counts,
    )


def _status(row: AnyRow) -> Any:
    if row.is_cancelled:
        return "cancelled"
    if row.in_progress:
        return "in_progress"
    # Nothing of it is there: a program that polls the status alone should not take that for success.
    return "failed" if row.failed and not row.completed else "completed"
