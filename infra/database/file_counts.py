"""How many files of a vector store, or of a batch, are in each state. The transactions that move a file call these."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, update

from infra.database.columns import AnyRow
from infra.database.vector_store_tables import VECTOR_STORE_FILE_BATCHES, VECTOR_STORES
from models.vector_stores import FileCounts

COUNTED = ("in_progress", "completed", "failed", "cancelled")

_COUNT = (
    update(VECTOR_STORES)
    .where(VECTOR_STORES.c.id == bindparam("store"))
    .values({name: VECTOR_STORES.c[name] + bindparam(f"more_{name}") for name in (*COUNTED, "usage_bytes")})
    .values(files_version=VECTOR_STORES.c.files_version + 1)
)
_COUNT_IN_BATCH = (
    update(VECTOR_STORE_FILE_BATCHES)
    .where(VECTOR_STORE_FILE_BATCHES.c.id == bindparam("of_batch"))
    .values({name: VECTOR_STORE_FILE_BATCHES.c[name] + bindparam(f"more_{name}") for name in COUNTED})
)


def count(connection: Connection, store_id: str, changes: Mapping[str, int]) -> None:
    """Add `changes` to the store's numbers of files in each state, and to its `usage_bytes`; its files have changed."""
    more = {f"more_{name}": changes.get(name, 0) for name in (*COUNTED, "usage_bytes")}
    connection.execute(_COUNT, {"store": store_id, **more})


def count_in_batch(connection: Connection, batch_id: str, changes: Mapping[str, int]) -> None:
    more = {f"more_{name}": changes.get(name, 0) for name in COUNTED}
    connection.execute(_COUNT_IN_BATCH, {"of_batch": batch_id, **more})


def counts_of(row: AnyRow) -> FileCounts:
    """Of a store or of a batch."""
    numbers = {name: getattr(row, name) for name in COUNTED}
    return FileCounts(**numbers, total=sum(numbers.values()))
