"""How many files of a vector store, or of a batch, are in each state. The transactions that move a file call these.

Each of them has locked the store, and gives the files that it changes the store's next version: so versions are in the
order of commits, and who knows a version can ask for the files that later ones changed (`changed_files.py`). During an
upgrade a server of the previous version may run beside this one: it raises the version and does not say of which files,
and `recorded_versions` lacks what it raised.
"""

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
    .values(
        files_version=VECTOR_STORES.c.files_version + 1,
        recorded_versions=VECTOR_STORES.c.recorded_versions + 1,
    )
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


def next_version(store: AnyRow) -> int:
    """What `count` makes of a store's `files_version`: for the files that change. `store` is its locked row."""
    return int(store.files_version) + 1


def unrecorded_versions(store: AnyRow) -> int:
    """Differs from an earlier one where a server of the previous version changed the store's files since."""
    return int(store.files_version - store.recorded_versions)


def count_in_batch(connection: Connection, batch_id: str, changes: Mapping[str, int]) -> None:
    more = {f"more_{name}": changes.get(name, 0) for name in COUNTED}
    connection.execute(_COUNT_IN_BATCH, {"of_batch": batch_id, **more})


def counts_of(row: AnyRow) -> FileCounts:
    """Of a store or of a batch."""
    numbers = {name: getattr(row, name) for name in COUNTED}
    return FileCounts(**numbers, total=sum(numbers.values()))
