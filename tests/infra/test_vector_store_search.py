"""Searches of stores with many files: what is found is what a search of each file by its name finds."""

import asyncio
import math
import shutil
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra import vector_store_search
from infra.database import ingestions, vector_store_additions, vector_store_files, vector_stores
from infra.database.engine import Database, open_database
from infra.database.migrations import migrate
from infra.embeddings.embedders import Embedders
from infra.ports import Embedder
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.sqlite_index import SqliteVectorIndex
from infra.vector_store_search import VectorStoreSearch
from models.ingestion import IngestEnd
from models.search_index import Candidates, ChunkKey, IndexedChunk, IndexedFile, IndexedStore, IndexQuery
from models.vector_store_search import SearchRequest
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest, StoreFileStatus
from tests.infra.database.test_vector_stores import PROJECT, new_file

# One group, so that all share what is filled once.
pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("vector-store-search")]

FILES = 160
OLD = {"type": "lt", "key": "number", "value": 100}


class Angles:
    """A text that is a number has the vector of that angle."""

    model, dimensions = "angles", 2

    async def windows(self, text: str) -> Sequence[str]:
        return [text]

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        return [(math.cos(math.radians(float(text))), math.sin(math.radians(float(text)))) for text in texts]


class CountingIndex(SqliteVectorIndex):
    queries: list[IndexQuery]

    async def search(self, store: IndexedStore, query: IndexQuery) -> Candidates:
        self.queries.append(query)
        return await super().search(store, query)


@dataclass(frozen=True)
class Searched:
    database: Database
    index: CountingIndex
    store: IndexedStore
    file_ids: Sequence[str]

    async def found(self, query: str = "0", **more: Any) -> list[tuple[str, float]]:
        self.index.queries = []
        search = VectorStoreSearch(self.database, Embedders(Angles(), _no_other), self.index)
        request = SearchRequest.model_validate({"query": query, "max_num_results": 50, **more})
        page = await search.search(PROJECT, self.store.id, request)
        return [(result.file_id, result.score) for result in page.data]

    @property
    def asked(self) -> list[int | None]:
        """How many files each query to the index named; None: it was of all."""
        return [None if query.files is None else len(query.files) for query in self.index.queries]


async def _no_other(model: str, dimensions: int) -> Embedder:
    raise AssertionError(model)


@pytest.fixture(scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, IndexedStore, list[str]]:
    """A store with files whose only chunk is a degree farther from 0 than that of the file before; and its folder."""
    folder = tmp_path_factory.mktemp("filled")
    await asyncio.to_thread(migrate, _url(folder))
    async with _opened(folder) as (database, index):
        store, files = await database.write(_filled)
        for number, file in enumerate(files):
            [vector] = await Angles().embed([str(number)])
            await index.upsert(store, file, [IndexedChunk(0, f"number {number}", None, [vector])])
    return folder, store, [file.id for file in files]


@pytest.fixture
async def searched(filled: tuple[Path, IndexedStore, list[str]], tmp_path: Path) -> AsyncIterator[Searched]:
    """The test's own copy."""
    original, store, file_ids = filled
    folder = Path(shutil.copytree(original, tmp_path / "copy"))
    async with _opened(folder) as (database, index):
        yield Searched(database, index, store, file_ids)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[tuple[Database, CountingIndex]]:
    async with open_database(_url(folder)) as database:
        with closing(CountingIndex(folder / "vector_index", cache_bytes=1_000_000)) as index:
            yield database, index


def _url(folder: Path) -> str:
    return f"sqlite:///{folder}/holdfast.db"


def _filled(connection: Any) -> tuple[IndexedStore, list[IndexedFile]]:
    store_id = vector_stores.create(connection, PROJECT, CreateVectorStoreRequest(), "angles", 2).id
    store = vector_stores.lock_open(connection, PROJECT, store_id)
    given = [Attachment(new_file(connection), {"number": number}, ChunkSizes()) for number in range(FILES)]
    added = vector_store_additions.add(connection, store, given).to_ingest
    for file in added:
        ingestions.end(connection, IngestEnd(file, StoreFileStatus.COMPLETED, usage_bytes=1), [0])
    return vector_stores.indexed(store), [IndexedFile(file.file_id, file.generation) for file in added]


@pytest.mark.parametrize("filters", [None, OLD], ids=["all", "filtered"])
async def test_many_files_are_found_as_few_are(
    searched: Searched, filters: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = await searched.found(filters=filters)
    asked_by_name = searched.asked
    monkeypatch.setattr(vector_store_search, "NAMED_FILES", 10)

    together = await searched.found(filters=filters)

    assert together == named
    assert [file_id for file_id, _ in together] == list(searched.file_ids[:50])
    assert (asked_by_name, searched.asked) == (([FILES], [None]) if filters is None else ([100], [100]))


async def test_few_files_of_many_that_match_are_named(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store_search, "NAMED_FILES", 10)

    found = await searched.found(filters={"type": "gte", "key": "number", "value": FILES - 5})

    assert [file_id for file_id, _ in found] == list(searched.file_ids[-5:])
    assert searched.asked == [5]


async def test_files_that_are_not_completed_or_of_a_former_generation_take_no_place(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest are ingested anew or were removed; their chunks are still in the index."""
    monkeypatch.setattr(vector_store_search, "NAMED_FILES", 10)
    again, completed_again, removed = searched.file_ids[:3]

    def change(connection: Any) -> None:
        store = vector_stores.lock_open(connection, PROJECT, searched.store.id)
        anew = [Attachment(file_id, None, ChunkSizes(200, 0)) for file_id in (again, completed_again)]
        vector_store_additions.add(connection, store, anew)
        row = vector_store_files.find(connection, PROJECT, store.id, completed_again)
        ended = IngestEnd(ingestions.ingest_input(row), StoreFileStatus.COMPLETED, usage_bytes=1)
        ingestions.end(connection, ended, [0])
        vector_store_files.remove(connection, PROJECT, store.id, removed)

    await searched.database.write(change)

    found = await searched.found()

    assert [file_id for file_id, _ in found] == list(searched.file_ids[3:53])
    assert searched.asked == [None]


async def test_where_too_few_of_the_best_are_completed_files_are_named_after_all(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store_search, "NAMED_FILES", 10)

    def ingest_anew(connection: Any) -> None:
        store = vector_stores.lock_open(connection, PROJECT, searched.store.id)
        anew = [Attachment(file_id, None, ChunkSizes(200, 0)) for file_id in searched.file_ids[:60]]
        vector_store_additions.add(connection, store, anew)

    await searched.database.write(ingest_anew)

    found = await searched.found()

    assert [file_id for file_id, _ in found] == list(searched.file_ids[60:110])
    assert searched.asked == [None, FILES - 60]


async def test_store_that_is_deleted_during_a_search_has_nothing(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store_search, "NAMED_FILES", 10)
    search = searched.index.search

    async def search_and_delete(store: IndexedStore, query: IndexQuery) -> Candidates:
        found = await search(store, query)
        if query.files is None:
            await searched.database.write(vector_stores.remove, PROJECT, store.id)
        return found

    monkeypatch.setattr(searched.index, "search", search_and_delete)

    assert await searched.found() == []
    assert searched.asked == [None]


async def test_chunks_that_are_removed_before_their_texts_are_read_are_left_out(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file is removed from the index, one is ingested anew: its new chunk has the number of the one found."""
    texts = searched.index.texts
    removed, again = searched.file_ids[:2]

    async def change_and_read(store: IndexedStore, keys: Collection[ChunkKey]) -> Mapping[ChunkKey, IndexedChunk]:
        [generation] = {key.file.generation for key in keys if key.file_id == again}
        await searched.index.delete_file(store, removed)
        await searched.index.upsert(store, IndexedFile(again, generation + 1), [IndexedChunk(0, "anew")])
        await searched.index.delete_file(store, again, keep_generation=generation + 1)
        return await texts(store, keys)

    monkeypatch.setattr(searched.index, "texts", change_and_read)

    found = await searched.found(max_num_results=10)

    assert [file_id for file_id, _ in found] == list(searched.file_ids[2:10])


@pytest.mark.parametrize("number", [0, 7])
async def test_file_of_two_stores_is_found_once_unless_its_chunks_differ(number: int, searched: Searched) -> None:
    same, other = searched.file_ids[3:5]

    def add(connection: Any) -> tuple[IndexedStore, list[IndexedFile]]:
        store_id = vector_stores.create(connection, PROJECT, CreateVectorStoreRequest(), "angles", 2).id
        store = vector_stores.lock_open(connection, PROJECT, store_id)
        given = [Attachment(file_id, {"number": 40}, ChunkSizes()) for file_id in (same, other)]
        added = vector_store_additions.add(connection, store, given).to_ingest
        for file in added:
            ingestions.end(connection, IngestEnd(file, StoreFileStatus.COMPLETED, usage_bytes=1), [0])
        return vector_stores.indexed(store), [IndexedFile(file.file_id, file.generation) for file in added]

    store, [same_file, other_file] = await searched.database.write(add)
    vectors = await Angles().embed(["3", "5"])
    await searched.index.upsert(store, same_file, [IndexedChunk(0, "number 3", None, vectors[:1])])
    await searched.index.upsert(store, other_file, [IndexedChunk(number, "another cut", None, vectors[1:])])
    searched.index.queries = []
    search = VectorStoreSearch(searched.database, Embedders(Angles(), _no_other), searched.index)
    request = SearchRequest.model_validate({"query": "0", "max_num_results": 7})

    found = await search.search_together(PROJECT, [searched.store.id, store.id], request)

    numbers = [(each.file_id, each.text) for each in found]
    files = searched.file_ids
    expected = [(files[number], f"number {number}") for number in range(6)]
    assert sorted(numbers) == sorted([*expected, (other, "another cut")])
    assert {each.text: each.attributes for each in found if each.file_id == other} == {
        "number 4": {"number": 4},
        "another cut": {"number": 40},
    }


async def test_changed_attributes_count_at_the_next_search(searched: Searched) -> None:
    search = VectorStoreSearch(searched.database, Embedders(Angles(), _no_other), searched.index)
    searched.index.queries = []
    request = SearchRequest.model_validate({"query": "0", "filters": {"type": "eq", "key": "number", "value": 3}})
    assert [each.file_id for each in (await search.search(PROJECT, searched.store.id, request)).data] == [
        searched.file_ids[3]
    ]

    await searched.database.write(
        vector_store_files.modify, PROJECT, searched.store.id, searched.file_ids[9], {"number": 3}
    )
    await searched.database.write(vector_store_files.remove, PROJECT, searched.store.id, searched.file_ids[3])

    assert [each.file_id for each in (await search.search(PROJECT, searched.store.id, request)).data] == [
        searched.file_ids[9]
    ]


async def test_store_without_completed_files_asks_no_index(searched: Searched) -> None:
    empty = await searched.database.write(
        lambda connection: vector_stores.create(connection, PROJECT, CreateVectorStoreRequest(), "angles", 2).id
    )
    search = VectorStoreSearch(searched.database, Embedders(Angles(), _no_other), searched.index)
    searched.index.queries = []

    page = await search.search(PROJECT, empty, SearchRequest(query=["0"]))

    assert (page.data, searched.asked) == ([], [])


async def test_missing_index_of_many_files_is_said(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store_search, "NAMED_FILES", 10)
    await searched.index.drop(searched.store)

    with pytest.raises(VectorIndexUnavailable):
        await searched.found()
