"""What has to leave the vector index: written in the transaction that removes its rows, forgotten once it is gone.

An activity may be at the file until it next looks at its row, so each deletion is repeated once after a while.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from infra.clock import now_seconds
from infra.database.columns import AnyRow
from infra.database.vector_store_tables import INDEX_DELETIONS, VECTOR_STORE_FILES
from models.search_index import IndexedStore
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


def add(connection: Connection, project_id: str, store: IndexedStore, file_id: str | None) -> None:
    """Have a file's chunks removed, or with None all that the store has."""
    row = {
        "project_id": project_id,
        "store_id": store.id,
        "embedding_model": store.embedding_model,
        "dimensions": store.dimensions,
        "file_id": file_id,
        "deleted_at": now_seconds(),
    }
    connection.execute(_ADD, row)


def oldest(connection: Connection, before: int, limit: int) -> Sequence[AnyRow]:
    """Deletions that were added until a time (seconds), the oldest first."""
    return connection.execute(_OLDEST, {"before": before, "most": limit}).all()


def generation_to_keep(connection: Connection, store_id: str, file_id: str) -> int | None:
    """That of a file which was added or ingested again meanwhile."""
    generation: int | None = connection.scalar(_GENERATION, {"store": store_id, "file": file_id})
    return generation


def forget(connection: Connection, seq: int) -> None:
    connection.execute(_FORGET, {"of_seq": seq})
