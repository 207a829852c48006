"""What a process remembers of a store's files counts until they change, by whatever process."""

import gc
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from infra import searchable_files
from infra.database import (
    changed_files,
    files,
    vector_store_additions,
    vector_store_file_batches,
    vector_store_files,
    vector_stores,
)
from infra.database.changed_files import MOST_CHANGES
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.database.vector_store_tables import (
    REMOVED_STORE_FILES,
    VECTOR_STORE_FILE_ATTRIBUTES,
    VECTOR_STORE_FILES,
    VECTOR_STORES,
)
from infra.searchable_files import SearchableFiles
from models.search_index import DifferingFiles, FileSelection
from models.vector_store_search import Filter, parse_filter
from models.vector_stores import ChunkSizes, StoreFileStatus
from tests.database import reading, writing
from tests.infra.database.test_vector_stores import PROJECT, add, batch, end, new_file, new_store

_F, _A, _S, _R = VECTOR_STORE_FILES, VECTOR_STORE_FILE_ATTRIBUTES, VECTOR_STORES, REMOVED_STORE_FILES
OLD: Any = {"type": "lt", "key": "year", "value": 2000}

NOT_A: Any = {"type": "nin", "key": "kind", "value": ["a"]}
FILTERS = [
    None,
    parse_filter(OLD),
    parse_filter(NOT_A),
    parse_filter({"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2000}, NOT_A]}),
    parse_filter({"type": "or", "filters": [OLD, {"type": "eq", "key": "kind", "value": "b"}]}),
]

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
    assert is_changed(after)
    assert_is_as_if_read_anew(database, after, store_id, filters)
    # A search may still be at it.
    assert [file.id for file in before.files] == [old]


@pytest.mark.parametrize("most", [MOST_CHANGES, 4])
def test_any_changes_lead_to_what_is_read_anew(database: Database, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    for module in (changed_files, searchable_files):
        monkeypatch.setattr(module, "MOST_CHANGES", most)
    chance, ways = random.Random(most), Counter[bool]()
    # Two processes.
    often, seldom = SearchableFiles(), SearchableFiles()
    with writing(database) as connection:
        store_id = new_store(connection)
        ids = [new_file(connection) for _ in range(12)]

    for number in range(30):
        with writing(database) as connection:
            before = Stored.of(connection, store_id)
            for _ in range(chance.randint(0, 3)):
                change_something(connection, chance, store_id, ids)
            assert Stored.of(connection, store_id).says_what_changed_since(before)
            if chance.random() < 0.1:
                connection.rollback()
        for process in (often, seldom) if number % 4 == 0 else (often,):
            for filters in FILTERS:
                found = selected(database, process, store_id, filters)
                assert_is_as_if_read_anew(database, found, store_id, filters)
                ways[is_changed(found)] += 1

    assert ways[True] > 60
    assert (ways[False] > 48) is (most == 4)


def test_change_that_does_not_matter_leaves_the_selection_as_it_is(database: Database) -> None:
    filters, remembered = parse_filter(OLD), SearchableFiles()
    store_id, _, new = two_files(database)
    before = selected(database, remembered, store_id, filters)

    with writing(database) as connection:
        vector_store_files.modify(connection, PROJECT, store_id, new, {"year": 2025})

    assert selected(database, remembered, store_id, filters) is before


def test_selections_form_no_chain(database: Database) -> None:
    filters, remembered = parse_filter(OLD), SearchableFiles()
    store_id, old, new = two_files(database)
    first = selected(database, remembered, store_id, filters)

    for year, ids in ((1990, {old, new}), (2024, {old}), (1990, {old, new})):
        with writing(database) as connection:
            vector_store_files.modify(connection, PROJECT, store_id, new, {"year": year})
        found = selected(database, remembered, store_id, filters)
        assert {file.id for file in found.files} == ids
        assert isinstance(found.files, DifferingFiles)
        assert found.files.base is first
        assert {file.id for file in found.files.adds} == ids - {old}
        assert not found.files.lacks


def test_search_of_an_earlier_snapshot_beside_a_later_one(database: Database) -> None:
    filters, remembered = parse_filter(OLD), SearchableFiles()
    store_id, old, new = two_files(database)
    with reading(database) as early:
        row = vector_stores.find_open(early, PROJECT, store_id)
        with writing(database) as connection:
            vector_store_files.modify(connection, PROJECT, store_id, new, {"year": 1990})
        late = selected(database, remembered, store_id, filters)

        found = remembered.of(early, row, filters)

    assert [file.id for file in found.files] == [old]
    again = selected(database, remembered, store_id, filters)
    assert {file.id for file in again.files} == {file.id for file in late.files} == {old, new}


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_a_server_of_the_previous_version_changes_counts(database: Database, is_alone: bool) -> None:
    filters, remembered = parse_filter(OLD), SearchableFiles()
    store_id, _, new = two_files(database)
    with writing(database) as connection:
        late = new_file(connection)
        add(connection, store_id, late, attributes={"year": 1990})
    selected(database, remembered, store_id, filters)

    with writing(database) as connection:
        complete_as_previous_version_does(connection, store_id, late)
        if not is_alone:
            vector_store_files.modify(connection, PROJECT, store_id, new, {"year": 1991})

    found = selected(database, remembered, store_id, filters)
    assert late in {file.id for file in found.files}
    assert_is_as_if_read_anew(database, found, store_id, filters)
    # It is noticed by the store's versions; afterwards changes are read alone again.
    with writing(database) as connection:
        vector_store_files.remove(connection, PROJECT, store_id, late)
    again = selected(database, remembered, store_id, filters)
    assert (is_changed(found), is_changed(again)) == (False, True)
    assert_is_as_if_read_anew(database, again, store_id, filters)


def test_attributes_that_a_server_of_the_previous_version_changes_count(database: Database) -> None:
    filters, remembered = parse_filter(OLD), SearchableFiles()
    store_id, _, new = two_files(database)
    selected(database, remembered, store_id, filters)

    with writing(database) as connection:
        connection.execute(update(_A).where(_A.c.store_id == store_id).values(number_value=2024))
        connection.execute(update(_S).where(_S.c.id == store_id).values(files_version=_S.c.files_version + 1))
        vector_store_files.modify(connection, PROJECT, store_id, new, {"year": 1991})

    assert [file.id for file in selected(database, remembered, store_id, filters).files] == [new]


def test_file_that_was_removed_longer_ago_than_is_remembered_is_not_found(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed_files, "MOST_CHANGES", 5)
    remembered = SearchableFiles()
    store_id, old, new = two_files(database)
    selected(database, remembered, store_id, None)

    with writing(database) as connection:
        vector_store_files.remove(connection, PROJECT, store_id, old)
        for year in range(5):
            vector_store_files.modify(connection, PROJECT, store_id, new, {"year": year})
        add(connection, store_id, other := new_file(connection))
        vector_store_files.remove(connection, PROJECT, store_id, other)

    assert [file.id for file in selected(database, remembered, store_id, None).files] == [new]


def test_few_removed_files_are_remembered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_files, "MOST_CHANGES", 5)
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        for _ in range(10):
            add(connection, store_id, file_id)
            vector_store_files.remove(connection, PROJECT, store_id, file_id)

        kept = connection.scalars(select(_R.c.files_version).where(_R.c.store_id == store_id)).all()

    # Each is added by a version of its own.
    assert sorted(kept) == [16, 18, 20]


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


@dataclass(frozen=True)
class Stored:
    """A store's version, its files by id, and the files that it remembers as removed."""

    version: int
    files: dict[str, AnyRow]
    removed: dict[str, int]

    @classmethod
    def of(cls, connection: Connection, store_id: str) -> "Stored":
        removed = select(_R.c.id, _R.c.files_version).where(_R.c.store_id == store_id).order_by(_R.c.files_version)
        return cls(
            vector_stores.find_open(connection, PROJECT, store_id).files_version,
            {row.id: row for row in connection.execute(select(_F).where(_F.c.store_id == store_id))},
            dict(connection.execute(removed).tuples().all()),
        )

    def says_what_changed_since(self, before: "Stored") -> bool:
        removed = before.files.keys() - self.files.keys()
        newer = {file_id for file_id, row in self.files.items() if before.version < row.files_version <= self.version}
        changed = {
            file_id
            for file_id, row in self.files.items()
            if searched_part(row) != searched_part(before.files.get(file_id))
        }
        return changed <= newer and all(before.version < self.removed[file_id] <= self.version for file_id in removed)


def searched_part(row: AnyRow | None) -> object:
    return row and (row.seq, row.status, row.generation, row.attributes)


def change_something(connection: Connection, chance: random.Random, store_id: str, ids: list[str]) -> None:
    file_id = chance.choice(ids)
    row = vector_store_files.named(connection, store_id, [file_id]).get(file_id)
    status = row and StoreFileStatus(row.status)
    attributes: Any = chance.choice([{}, {"year": 1990}, {"year": 2024}, {"year": 2024, "kind": "b"}, {"kind": "a"}])
    if row is None:
        add(connection, store_id, file_id, attributes=attributes)
    elif status == StoreFileStatus.IN_PROGRESS and row.batch_id and chance.random() < 0.5:
        vector_store_file_batches.cancel(connection, PROJECT, store_id, row.batch_id)
    elif status == StoreFileStatus.IN_PROGRESS and chance.random() < 0.8:
        end(connection, store_id, file_id, chance.choice([StoreFileStatus.COMPLETED] * 4 + [StoreFileStatus.FAILED]))
    elif status == StoreFileStatus.FAILED:
        vector_store_additions.retry(connection, PROJECT, store_id, file_id)
    else:
        match chance.randint(0, 5):
            case 0:
                add(connection, store_id, file_id, sizes=ChunkSizes(chance.randint(100, 800), 0))
            case 1:
                vector_store_files.remove(connection, PROJECT, store_id, file_id)
            case 2:
                files.remove(connection, PROJECT, file_id)
                ids[ids.index(file_id)] = new_file(connection)
            case 3:
                batch(connection, store_id, *chance.sample(ids, 3))
            case _:
                vector_store_files.modify(connection, PROJECT, store_id, file_id, attributes)


def complete_as_previous_version_does(connection: Connection, store_id: str, file_id: str) -> None:
    connection.execute(update(_F).where(_F.c.store_id == store_id, _F.c.id == file_id).values(status="completed"))
    numbers = {name: _S.c[name] + more for name, more in (("in_progress", -1), ("completed", 1), ("files_version", 1))}
    connection.execute(update(_S).where(_S.c.id == store_id).values(numbers))


def is_changed(selection: FileSelection) -> bool:
    """Whether it was made of one that was read as a whole."""
    return isinstance(selection.files, DifferingFiles)


def assert_is_as_if_read_anew(database: Database, found: FileSelection, store_id: str, filters: Filter | None) -> None:
    with reading(database) as connection:
        anew = vector_store_files.searchable(connection, store_id, filters)
        completed = vector_stores.load(connection, PROJECT, store_id).file_counts.completed
    assert sorted(found.files) == sorted(anew)
    assert len(found) == len(anew)
    assert found.share == len(anew) / max(completed, 1)
    assert all(file in found.files for file in anew)
    if isinstance(found.files, DifferingFiles):
        base = set(found.files.base.files)
        assert found.files.lacks <= base
        assert not found.files.adds & base
        assert not any(file in found.files for file in found.files.lacks)


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
