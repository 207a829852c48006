"""`make bench ARGS=search`, second part: a vector store of few and of many files, listed, counted, searched, filtered.

Each store has 10,000 chunks in all and is on SQLite; the query's vector is at hand. Stores are measured in turn: the
median of the time, and the mean of the CPU, that of this process and of Weaviate: on a busy machine compare that.
"""

import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection

from infra.database import files, ingestions, vector_store_additions, vector_store_files, vector_stores
from infra.database.engine import Database, open_database
from infra.database.files import StoredFile
from infra.database.migrations import migrate
from infra.embeddings.embedders import Embedders
from infra.embeddings.minilm import DIMENSIONS
from infra.index_deletion import delete_up_to
from infra.ports import Embedder, VectorIndex
from infra.vector_index.sqlite_index import SqliteVectorIndex
from infra.vector_index.weaviate_index import open_weaviate_index
from infra.vector_store_search import VectorStoreSearch
from models.files import Purpose
from models.ids import new_file_id
from models.ingestion import IngestEnd, IngestInput
from models.lists import PageRequest
from models.search_index import IndexedChunk, IndexedFile, IndexedStore
from models.vector_store_search import SearchRequest
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest, StoreFileStatus
from tests.bench.vectors import vectors
from tests.weaviate_server import WeaviateServer, running_weaviate, weaviate_module

PROJECT = "bench"
CHUNKS = 10_000
SIZES = (10, 1_000, 10_000)
FILES_AT_ONCE = 20
ROUNDS = 100
TWENTIETHS = 20
# Of the half that is searched, by their numbers.
SMALL, CHANGED = 2, 4
FILTERS: dict[str, dict[str, Any]] = {
    "search": {},
    # Of 10 files, one.
    "of 1/20": {"filters": {"type": "eq", "key": "part", "value": 3}},
    "of 1/2": {"filters": {"type": "in", "key": "part", "value": list(range(0, TWENTIETHS, 2))}},
}


Work = Callable[[], Awaitable[object]]


class RandomVectors:
    model, dimensions = "bench", DIMENSIONS

    async def windows(self, text: str) -> Sequence[str]:
        return [text]

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        return vectors(hash(texts[0]) % 10**6, len(texts))


async def measure_many_files() -> None:
    with tempfile.TemporaryDirectory() as folder, closing(SqliteVectorIndex(Path(folder), 10**9)) as embedded:
        await _measure("embedded", embedded)
    if weaviate_module().is_built:
        with tempfile.TemporaryDirectory() as folder, running_weaviate(WeaviateServer(Path(folder))) as server:
            async with open_weaviate_index(server.url) as weaviate:
                await _measure("weaviate", weaviate, server.process)


async def _measure(name: str, index: VectorIndex, server: psutil.Process | None = None) -> None:
    """Stores of all sizes in turn: what else the machine does is about the same for each."""
    async with AsyncExitStack() as opened:
        stores = [await opened.enter_async_context(_filled_store(index, size)) for size in SIZES]
        measured = await _measured(server, [work for store in stores for work in store.works])
        # By themselves: what is remembered for the other filters would be of an earlier version as well.
        firsts = [(store.works[-1], change) for store in stores for change in store.changes.values()]
        first = await _measured(server, [work for work, _ in firsts], [change for _, change in firsts])
        changes = stores[0].changes
    columns = len(measured) // len(SIZES)
    _print_table(name, ("list", "count", *FILTERS), measured, columns)
    print(f"{list(FILTERS)[-1]}, first search after a file was")
    _print_table(name, changes, first, len(changes))


def _print_table(name: str, columns: Iterable[str], measured: Sequence[tuple[float, float]], count: int) -> None:
    print(f"{name:>8}", *(f"{column + ' ms, CPU':>17}" for column in columns))
    for number, size in enumerate(SIZES):
        row = measured[number * count :][:count]
        print(f"{size:>8}", *(f"{wall:>10.1f}, {cpu:>5.1f}" for wall, cpu in row), flush=True)


@asynccontextmanager
async def _filled_store(index: VectorIndex, size: int) -> AsyncIterator["_Store"]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/holdfast.db"
        await asyncio.to_thread(migrate, url)
        async with open_database(url) as database:
            store, indexed = await database.write(_filled, size)
            for at in range(0, size, FILES_AT_ONCE):
                await asyncio.gather(
                    *(
                        # One file is small, so that it is soon attached again.
                        index.upsert(store, file, _chunks(number, 1 if number == SMALL else CHUNKS // (size - 1)))
                        for number, file in enumerate(indexed[at : at + FILES_AT_ONCE], at)
                    )
                )
            yield _Store(database, index, store, indexed)


class _Store:
    def __init__(
        self, database: Database, index: VectorIndex, store: IndexedStore, indexed: Sequence[IndexedFile]
    ) -> None:
        self._database = database
        self._search = VectorStoreSearch(database, Embedders(RandomVectors(), _no_other), index)
        self._store = store
        self._index = index
        self._changed, self._attached = indexed[CHANGED], indexed[SMALL]
        self._parts = itertools.cycle((0, 1))
        self._chance = random.Random(1)
        searches = [partial(self._query, more) for more in FILTERS.values()]
        self.works: Sequence[Work] = [self._list, self._count, *searches]
        # In this order: where a store is full, one has to be removed before another is attached.
        self.changes: dict[str, Work] = {"removed": self._remove, "attached": self._attach, "changed": self._change}

    async def _attach(self) -> None:
        """Of the half that is searched, and completed."""
        ingested = await self._database.write(_attached, self._store.id)
        self._attached = IndexedFile(ingested.file_id, ingested.generation)
        await self._index.upsert(self._store, self._attached, _chunks(0, 1))
        await self._database.write(ingestions.end, IngestEnd(ingested, StoreFileStatus.COMPLETED, usage_bytes=1), [0])

    async def _change(self) -> None:
        """The file joins the half or leaves it."""
        attributes = {"part": next(self._parts)}
        await self._database.write(vector_store_files.modify, PROJECT, self._store.id, self._changed.id, attributes)

    async def _remove(self) -> None:
        store, file = await self._database.write(vector_store_files.remove, PROJECT, self._store.id, self._attached.id)
        await delete_up_to(self._index, store, file)

    async def _query(self, more: dict[str, Any]) -> None:
        words = " ".join(f"w{self._chance.randint(0, 4000)}" for _ in range(5))
        request = SearchRequest.model_validate({"query": words, **more})
        await self._search.search(PROJECT, self._store.id, request)

    async def _list(self) -> None:
        page, status = PageRequest(), StoreFileStatus.COMPLETED
        await self._database.read(vector_store_files.list_page, PROJECT, self._store.id, page, status)

    async def _count(self) -> None:
        await self._database.read(vector_stores.load, PROJECT, self._store.id)


def _attached(connection: Connection, store_id: str) -> IngestInput:
    file = files.create(connection, PROJECT, StoredFile(new_file_id(), "notes.md", Purpose.ASSISTANTS, 1))
    store = vector_stores.lock_open(connection, PROJECT, store_id)
    [ingested] = vector_store_additions.add(
        connection, store, [Attachment(file.id, {"part": 0}, ChunkSizes())]
    ).to_ingest
    return ingested


def _filled(connection: Connection, size: int) -> tuple[IndexedStore, list[IndexedFile]]:
    store_id = vector_stores.create(connection, PROJECT, CreateVectorStoreRequest(), "bench", DIMENSIONS).id
    store = vector_stores.lock_open(connection, PROJECT, store_id)
    new = [StoredFile(new_file_id(), "notes.md", Purpose.ASSISTANTS, 1) for _ in range(size)]
    given = [
        Attachment(files.create(connection, PROJECT, file).id, {"part": number % TWENTIETHS}, ChunkSizes())
        for number, file in enumerate(new)
    ]
    added = vector_store_additions.add(connection, store, given).to_ingest
    for file in added:
        ingestions.end(connection, IngestEnd(file, StoreFileStatus.COMPLETED, usage_bytes=1), [0])
    return vector_stores.indexed(store), [IndexedFile(file.file_id, file.generation) for file in added]


def _chunks(seed: int, count: int) -> Sequence[IndexedChunk]:
    chance = random.Random(seed)
    texts = [" ".join(f"w{chance.randint(0, 4000)}" for _ in range(100)) for _ in range(count)]
    return [
        IndexedChunk(number, text, None, [vector])
        for number, (text, vector) in enumerate(zip(texts, vectors(seed, count), strict=True))
    ]


async def _measured(
    server: psutil.Process | None, works: Sequence[Work], before_each: Sequence[Work] = ()
) -> list[tuple[float, float]]:
    """Of each, the median time and the mean CPU in ms. The first round is left out."""
    measured: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(ROUNDS + 1):
        for number, work in enumerate(works):
            if before_each:
                await before_each[number]()
            began, cpu = time.perf_counter(), _cpu_seconds(server)
            await work()
            measured[number].append(((time.perf_counter() - began) * 1000, (_cpu_seconds(server) - cpu) * 1000))
    return [
        (statistics.median(wall), statistics.mean(cpu))
        for wall, cpu in (zip(*each[1:], strict=True) for each in measured)
    ]


def _cpu_seconds(server: psutil.Process | None) -> float:
    """Of this process, and the index's if it has one. The latter counts in steps of 10 ms."""
    return time.process_time() + (sum(server.cpu_times()[:2]) if server else 0.0)


async def _no_other(model: str, dimensions: int) -> Embedder:
    raise AssertionError(f"no store is of {model}")
