"""What has to leave the vector index: written in the transaction that removes its rows, forgotten once it is gone.

A file is removed up to the generation that it had, so that one which was added again meanwhile keeps its chunks. An
activity may be at the file until it next looks at its row, so each deletion is repeated once after a while.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from infra.clock import now_seconds
from infra.database.columns import AnyRow
from infra.database.vector_store_tables import INDEX_DELETIONS, VECTOR_STORE_FILES
from models.search_index import IndexedFile, IndexedStore
from models.vector_stores import StoreFileStatus

_ADD = insert(INDEX_DELETIONS)
_OLDEST = (
    select(INDEX_DELETIONS)
    .where(INDEX_DELETIONS.c.deleted_at <= bindparam("before"))
    .order_by(INDEX_DELETIONS.c.deleted_at)
    .limit(bindparam("most"))
)
_FORGET = delete(INDEX_DELETIONS).where(INDEX_DELETIONS.c.seq == bindparam("of_seq"))
_GENERATION = select(VECTOR_STORE_FILES.c.generation).where(
    VECTOR_STORE_FILES.c.store_id == bindparam("store"),
    VECTOR_STORE_FILES.c.id == bindparam("file"),
    VECTOR_STORE_FILES.c.status.in_((StoreFileStatus.IN_PROGRESS.value, StoreFileStatus.COMPLETED.value)),
)
_NEWEST = select(func.max(INDEX_DELETIONS.c.generation)).where(
    INDEX_DELETIONS.c.store_id == bindparam("store"), INDEX_DELETIONS.c.file_id.in_(bindparam("files", expanding=True))
)


def add(connection: Connection, project_id: str, store: IndexedStore, file: IndexedFile | None) -> None:
    """Have a file's chunks removed, those of its generation and of older ones, or with None all that the store has."""
    row = {
        "project_id": project_id,
        "store_id": store.id,
        "embedding_model": store.embedding_model,
        "dimensions": store.dimensions,
        "file_id": file and file.id,
        "generation": file and file.generation,
        "deleted_at": now_seconds(),
    }
    connection.execute(_ADD, row)


def oldest(connection: Connection, before: int, limit: int) -> Sequence[AnyRow]:
    """Deletions that were added until a time (seconds), the oldest first."""
    return connection.execute(_OLDEST, {"before": before, "most": limit}).all()


def newest_generation(connection: Connection, store_id: str, file_ids: Collection[str]) -> int:
    """The newest that is to be removed of any of these files, 0 if none is: chunks that stay have a larger one."""
    return connection.scalar(_NEWEST, {"store": store_id, "files": list(file_ids)}) or 0


def generation_to_keep(connection: Connection, store_id: str, file_id: str) -> int | None:
    """That of a file which was added or ingested again meanwhile, for a deletion that names no generation."""
    generation: int | None = connection.scalar(_GENERATION, {"store": store_id, "file": file_id})
    return generation


def forget(connection: Connection, seq: int) -> None:
    connection.execute(_FORGET, {"of_seq": seq})
