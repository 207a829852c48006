"""Files that join a vector store, and those of it that are ingested anew."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from infra.clock import now_ms
from infra.database import file_attributes, index_deletions, vector_store_files, vector_stores
from infra.database.columns import AnyRow
from infra.database.file_counts import count, count_in_batch, counts_of, next_version
from infra.database.file_tables import FILES
from infra.database.ingestions import ingest_input
from infra.database.vector_store_tables import VECTOR_STORE_FILES
from models.errors import WrongStatus
from models.file_errors import FileNotFound
from models.ingestion import IngestInput
from models.vector_store_errors import UnsupportedExtensions, VectorStoreFull
from models.vector_stores import (
    MAX_FILES_OF_STORE,
    Attachment,
    StoreFileStatus,
    VectorStoreFile,
    unsupported_extensions,
)

CHECK_AFTER_MS = 30_000
"""A workflow that is not at its file by then may have been lost."""
_F = VECTOR_STORE_FILES
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
        files_version=bindparam("new_version"),
        max_chunk_size_tokens=bindparam("new_maximum"),
        chunk_overlap_tokens=bindparam("new_overlap"),
        next_check_at=bindparam("check_at"),
    )
)
_SET_BATCH = update(_F).where(_F.c.seq == bindparam("of_seq")).values(batch_id=bindparam("new_batch"))


@dataclass(frozen=True, slots=True)
class Added:
    """The files as they are now, and those of them that have to be ingested."""

    files: Sequence[VectorStoreFile]
    to_ingest: Sequence[IngestInput]


def lock_store_for(connection: Connection, project_id: str, store_id: str, file_ids: Sequence[str]) -> AnyRow:
    """Lock an open store to which files will be added, after the files. Raises `NotFound`, `VectorStoreExpired`."""
    connection.execute(_SOURCES, {"project": project_id, "files": list(file_ids)})
    return vector_stores.lock_open(connection, project_id, store_id)


def add(connection: Connection, store: AnyRow, attachments: Sequence[Attachment], batch_id: str | None = None) -> Added:
    """Add files to a store that `lock_store_for` returned.

    One that is there already is ingested again where that may change anything. Raises `FileNotFound`,
    `UnsupportedExtensions`, `VectorStoreFull`.
    """
    ids = [each.file_id for each in attachments]
    names = _names(connection, store.project_id, ids)
    existing = vector_store_files.named(connection, store.id, ids)
    new = [each for each in attachments if each.file_id not in existing]
    if sum(counts_of(store).model_dump(exclude={"total"}).values()) + len(new) > MAX_FILES_OF_STORE:
        raise VectorStoreFull(MAX_FILES_OF_STORE)
    _insert(connection, store, new, names, batch_id)
    for each in attachments:
        if each.file_id in existing:
            _add_again(connection, store, existing[each.file_id], each, batch_id)
    rows = vector_store_files.named(connection, store.id, ids)
    file_attributes.index(connection, [(rows[each.file_id], each.attributes) for each in new])
    if batch_id is not None:
        count_in_batch(connection, batch_id, Counter(row.status for row in rows.values()))
    found = [rows[file_id] for file_id in ids]
    pending = [ingest_input(row) for row in found if row.status == StoreFileStatus.IN_PROGRESS]
    return Added([vector_store_files.to_file(row) for row in found], pending)


def retry(connection: Connection, project_id: str, store_id: str, file_id: str) -> AnyRow:
    """Have a failed file ingested anew, as part of the batch that it came with. Returns its row.

    Raises `NotFound`, `VectorStoreExpired`, `StoreFileNotFound`, `WrongStatus`.
    """
    store = lock_store_for(connection, project_id, store_id, [file_id])
    row = vector_store_files.find(connection, project_id, store_id, file_id)
    if row.status != StoreFileStatus.FAILED:
        raise WrongStatus.for_retry_of_file(row.status)
    _restart(connection, store, row, row.batch_id, row.max_chunk_size_tokens, row.chunk_overlap_tokens)
    if row.batch_id:
        count_in_batch(connection, row.batch_id, {"failed": -1, "in_progress": 1})
    return vector_store_files.find(connection, project_id, store_id, file_id)


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
    # Former chunks of a file may still have to leave the index, and clocks are set back.
    generation = max(now, index_deletions.newest_generation(connection, store.id, [each.file_id for each in new]) + 1)
    rows = [
        {
            "id": each.file_id,
            "project_id": store.project_id,
            "store_id": store.id,
            "created_at": now // 1000,
            "filename": names[each.file_id],
            "status": StoreFileStatus.IN_PROGRESS.value,
            "generation": generation,
            "batch_id": batch_id,
            "max_chunk_size_tokens": each.sizes.maximum,
            "chunk_overlap_tokens": each.sizes.overlap,
            "attributes": each.attributes or {},
            "next_check_at": now + CHECK_AFTER_MS,
            "files_version": next_version(store),
        }
        for each in new
    ]
    connection.execute(_ADD, rows)
    count(connection, store.id, {"in_progress": len(rows)})


def _add_again(
    connection: Connection, store: AnyRow, row: AnyRow, attachment: Attachment, batch_id: str | None
) -> None:
    if attachment.attributes is not None:
        file_attributes.replace(connection, store, row, attachment.attributes)
    sizes = attachment.sizes
    is_same = (row.max_chunk_size_tokens, row.chunk_overlap_tokens) == (sizes.maximum, sizes.overlap)
    if row.status == StoreFileStatus.COMPLETED and is_same:
        if batch_id is not None:
            connection.execute(_SET_BATCH, {"of_seq": row.seq, "new_batch": batch_id})
        return
    if row.status == StoreFileStatus.IN_PROGRESS and is_same and batch_id is None:
        return
    _restart(connection, store, row, batch_id, sizes.maximum, sizes.overlap)


def _restart(
    connection: Connection, store: AnyRow, row: AnyRow, batch_id: str | None, maximum: int, overlap: int
) -> None:
    """Have a file ingested anew. What is at work on it now is superseded, and counts as cancelled in its batch."""
    if row.status == StoreFileStatus.IN_PROGRESS and row.batch_id:
        count_in_batch(connection, row.batch_id, {"in_progress": -1, "cancelled": 1})
    now = now_ms()
    changes = {
        "of_seq": row.seq,
        "new_generation": max(now, row.generation + 1),
        "new_batch": batch_id,
        "new_maximum": maximum,
        "new_overlap": overlap,
        "check_at": now + CHECK_AFTER_MS,
        "new_version": next_version(store),
    }
    connection.execute(_RESTART, changes)
    moved = Counter({row.status: -1})
    moved[StoreFileStatus.IN_PROGRESS.value] += 1
    count(connection, store.id, {**moved, "usage_bytes": -row.usage_bytes})
