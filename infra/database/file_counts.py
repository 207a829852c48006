"""How many files of a vector store, or of a batch, are in each state. The transactions that move a file call these.

Each of them has locked the store, and gives the files that it changes the store's next version: so versions are in the
order of commits, and who knows a version can ask for the files that later ones changed (`changed_files.py`). Servers of
older versions, which may run beside this one during an upgrade, do not: what they change is missing in
`recorded_changes`, the sum of all changes that `count` made.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, update

from infra.database.columns import AnyRow
from infra.database.vector_store_tables import VECTOR_STORE_FILE_BATCHES, VECTOR_STORES
from models.vector_stores import FileCounts

COUNTED = ("in_progress", "completed", "failed", "cancelled")

# Digits of pi, e and roots: no few changes add up to nothing.
_WEIGHTS = {
    "files_version": 2_236_067_977,
    "in_progress": 31_415_926_535,
    "completed": 271_828_182_845,
    "failed": 1_414_213_562_373,
    "cancelled": 17_320_508_075_688,
    "usage_bytes": 1,
}

_COUNT = (
    update(VECTOR_STORES)
    .where(VECTOR_STORES.c.id == bindparam("store"))
    .values({name: VECTOR_STORES.c[name] + bindparam(f"more_{name}") for name in (*COUNTED, "usage_bytes")})
    .values(
        files_version=VECTOR_STORES.c.files_version + 1,
        recorded_changes=VECTOR_STORES.c.recorded_changes + bindparam("recorded"),
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
    recorded = _weighted({"files_version": 1, **changes})
    connection.execute(_COUNT, {"store": store_id, "recorded": recorded, **more})


def next_version(store: AnyRow) -> int:
    """What `count` makes of a store's `files_version`: for the files that change. `store` is its locked row."""
    return int(store.files_version) + 1


def unrecorded_changes(store: AnyRow) -> int:
    """Differs from an earlier one where a server of an older version changed the store's files since."""
    return _weighted({name: getattr(store, name) for name in _WEIGHTS}) - int(store.recorded_changes)


def count_in_batch(connection: Connection, batch_id: str, changes: Mapping[str, int]) -> None:
    more = {f"more_{name}": changes.get(name, 0) for name in COUNTED}
    connection.execute(_COUNT_IN_BATCH, {"of_batch": batch_id, **more})


def _weighted(numbers: Mapping[str, int]) -> int:
    return sum(_WEIGHTS[name] * number for name, number in numbers.items())


def counts_of(row: AnyRow) -> FileCounts:
    """Of a store or of a batch."""
    numbers = {name: getattr(row, name) for name in COUNTED}
    return FileCounts(**numbers, total=sum(numbers.values()))
