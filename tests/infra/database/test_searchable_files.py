"""What a process remembers of a store's files counts until they change, by whatever process."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from infra.database import files, vector_store_files, vector_stores
from infra.database.engine import Database
from infra.searchable_files import SearchableFiles
from models.search_index import FileSelection
from models.vector_store_search import Filter, parse_filter
from models.vector_stores import ChunkSizes, StoreFileStatus
from tests.database import reading, writing
from tests.infra.database.test_vector_stores import PROJECT, add, batch, end, new_file, new_store

OLD: Any = {"type": "lt", "key": "year", "value": 2000}

Change = Callable[[Connection, str, str, str], object]
"""Of a store with two completed files, of which the first is old."""
CHANGES: dict[str, Change] = {
    "attributes": lambda c, store, old, new: vector_store_files.modify(c, PROJECT, store, new, {"year": 1990}),
    "no attributes": lambda c, store, old, new: vector_store_files.modify(c, PROJECT, store, old, {}),
    "attributes of a file that is added again": lambda c, store, old, new: add(c, store, new, attributes={"year": 1}),
    "removed": lambda c, store, old, new: vector_store_files.remove(c, PROJECT, store, old),
    "deleted": lambda c, store, old, new: files.remove(c, PROJECT, old),
    "ingested anew": lambda c, store, old, new: add(c, store, old, sizes=ChunkSizes(200, 0)),
    "completed anew": lambda c, store, old, new: (
        add(c, store, old, sizes=ChunkSizes(200, 0)),
        end(c, store, old),
    ),
    "failed": lambda c, store, old, new: (
        add(c, store, old, sizes=ChunkSizes(200, 0)),
        end(c, store, old, StoreFileStatus.FAILED),
    ),
    "completed": lambda c, store, old, new: (
        add(c, store, file_id := new_file(c), attributes={"year": 1990}),
        end(c, store, file_id),
    ),
    "completed in a batch": lambda c, store, old, new: (
        batch(c, store, file_id := new_file(c)),
        end(c, store, file_id),
        vector_store_files.modify(c, PROJECT, store, file_id, {"year": 1990}),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_change_of_files_counts_at_once(database: Database, change: Change) -> None:
    filters, remembered = parse_filter(OLD), SearchableFiles()
    store_id, old, new = two_files(database)
    before = selected(database, remembered, store_id, filters)
    assert [file.id for file in before.files] == [old]
    assert selected(database, remembered, store_id, filters) is before

    with writing(database) as connection:
        change(connection, store_id, old, new)

    after = selected(database, remembered, store_id, filters)
    assert set(after.files) != set(before.files)
    with reading(database) as connection:
        assert list(after.files) == list(vector_store_files.searchable(connection, store_id, filters))
        assert after.share == len(after) / vector_stores.load(connection, PROJECT, store_id).file_counts.completed


def test_filters_of_equal_numbers_and_truths_are_apart(database: Database) -> None:
    remembered = SearchableFiles()
    with writing(database) as connection:
        store_id = new_store(connection)
        ids = [new_file(connection) for _ in range(3)]
        for file_id, value in zip(ids, (1, True, "1"), strict=True):
            add(connection, store_id, file_id, attributes={"a": value})
            end(connection, store_id, file_id)

    found = [
        [
            file.id
            for file in selected(
                database, remembered, store_id, parse_filter({"type": "eq", "key": "a", "value": value})
            ).files
        ]
        for value in (1, True, "1")
    ]

    assert found == [[file_id] for file_id in ids]


def test_what_is_remembered_is_bounded_and_the_latest_stays(database: Database) -> None:
    remembered = SearchableFiles(most_files=10)
    stores = [two_files(database)[0] for _ in range(2)]
    first = selected(database, remembered, stores[0], None)

    second = selected(database, remembered, stores[1], None)

    assert selected(database, remembered, stores[1], None) is second
    again = selected(database, remembered, stores[0], None)
    assert again is not first
    assert again.files == first.files


def test_files_of_a_filter_that_none_matches_are_remembered(database: Database) -> None:
    remembered, nothing = SearchableFiles(), parse_filter({"type": "eq", "key": "year", "value": 1})
    store_id, _, _ = two_files(database)

    found = selected(database, remembered, store_id, nothing)

    assert found.files == []
    assert selected(database, remembered, store_id, nothing) is found


def test_long_filters_take_no_memory(database: Database) -> None:
    remembered = SearchableFiles()
    store_id, _, _ = two_files(database)

    def search(number: int) -> None:
        value = f"{number} {'x' * 200_000}"
        selected(database, remembered, store_id, parse_filter({"type": "ne", "key": "year", "value": value}))

    search(0)
    tracemalloc.start()
    try:
        for number in range(1, 20):
            search(number)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 1_000_000


def two_files(database: Database) -> tuple[str, str, str]:
    with writing(database) as connection:
        store_id, old, new = new_store(connection), new_file(connection), new_file(connection)
        for file_id, year in ((old, 1990), (new, 2024)):
            add(connection, store_id, file_id, attributes={"year": year})
            end(connection, store_id, file_id)
    return store_id, old, new


def selected(database: Database, remembered: SearchableFiles, store_id: str, filters: Filter | None) -> FileSelection:
    with reading(database) as connection:
        return remembered.of(connection, vector_stores.find_open(connection, PROJECT, store_id), filters)
