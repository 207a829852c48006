"""`make bench ARGS=search`, second part: a vector store of few and of many files, listed, counted, searched, filtered.

Each store has 10,000 chunks in all and is on SQLite; the query's vector is at hand. Searches are measured in turn, with
the CPU of this process, which has the index and the database: on a busy machine compare that.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from infra.database import files, ingestions, vector_store_additions, vector_store_files, vector_stores
from infra.database.engine import Database, open_database
from infra.database.files import StoredFile
from infra.database.migrations import migrate
from infra.embeddings.embedders import Embedders
from infra.ports import Embedder
from infra.vector_index.sqlite_index import SqliteVectorIndex
from infra.vector_store_search import VectorStoreSearch
from models.files import Purpose
from models.ids import new_file_id
from models.ingestion import IngestEnd
from models.lists import PageRequest
from models.search_index import IndexedChunk, IndexedFile, IndexedStore
from models.vector_store_search import SearchRequest
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest, StoreFileStatus

PROJECT = "bench"
DIMENSIONS = 384
CHUNKS = 10_000
SIZES = (10, 1_000, 10_000)
ROUNDS = 30
TWENTIETHS = 20
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
        return _vectors(len(texts), hash(texts[0]) % 10**6)


async def measure_many_files() -> None:
    columns = ("list", "count", *FILTERS, "changed")
    print(f"{'files':>8}", *(f"{name + ' ms, CPU':>17}" for name in columns))
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/holdfast.db"
            await asyncio.to_thread(migrate, url)
            async with open_database(url) as database:
                with closing(SqliteVectorIndex(Path(folder) / "index", 10**9)) as index:
                    await _measure(database, index, size)


async def _measure(database: Database, index: SqliteVectorIndex, size: int) -> None:
    store, indexed = await database.write(_filled, size)
    for number, file in enumerate(indexed):
        await index.upsert(store, file, _chunks(number, CHUNKS // size))
    search = VectorStoreSearch(database, Embedders(RandomVectors(), _no_other), index)
    chance = random.Random(1)

    def query(more: dict[str, Any]) -> Work:
        async def searched() -> None:
            words = " ".join(f"w{chance.randint(0, 4000)}" for _ in range(5))
            await search.search(PROJECT, store.id, SearchRequest.model_validate({"query": words, **more}))

        return searched

    async def listed() -> None:
        await database.read(vector_store_files.list_page, PROJECT, store.id, PageRequest(), StoreFileStatus.COMPLETED)

    async def counted() -> None:
        await database.read(vector_stores.load, PROJECT, store.id)

    async def touched() -> None:
        await database.write(vector_store_files.modify, PROJECT, store.id, indexed[3].id, {"part": 3})

    measured = await _medians([listed, counted, *(query(more) for more in FILTERS.values())])
    # By itself: what is remembered for the other filters would be of an earlier version as well.
    measured += await _medians([query(FILTERS["of 1/2"])], before_each=touched)
    print(f"{size:>8}", *(f"{wall:>10.1f}, {cpu:>5.1f}" for wall, cpu in measured), flush=True)


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
    vectors = _vectors(count, seed)
    return [IndexedChunk(number, text, None, [vectors[number]]) for number, text in enumerate(texts)]


def _vectors(count: int, seed: int) -> Sequence[Sequence[float]]:
    # Not before the index's module, which sets how many threads numpy has.
    import numpy as np

    made = np.random.default_rng(seed).standard_normal((count, DIMENSIONS), dtype=np.float32)
    vectors: list[list[float]] = (made / np.linalg.norm(made, axis=1, keepdims=True)).tolist()
    return vectors


async def _medians(works: Sequence[Work], before_each: Work | None = None) -> list[tuple[float, float]]:
    """Of each, the time and the CPU in ms. The first round is left out."""
    measured: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(ROUNDS + 1):
        for number, work in enumerate(works):
            if before_each:
                await before_each()
            began, cpu = time.perf_counter(), time.process_time()
            await work()
            measured[number].append(((time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000))
    return [
        (statistics.median(wall), statistics.median(cpu))
        for wall, cpu in (zip(*each[1:], strict=True) for each in measured)
    ]


async def _no_other(model: str, dimensions: int) -> Embedder:
    raise AssertionError(f"no store is of {model}")
