"""`make bench ARGS=search`: what searches of the indexes cost, and how quickly files are read and embedded.

Chunks are of 150 words with one vector each; queries are of five words, none of them among the commonest, in stores of
100 chunks a file, all of whose files are searched.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psutil

from infra.documents.chunking import chunks
from infra.documents.parsing import parse
from infra.embeddings.minilm import DIMENSIONS, MODEL, MiniLmEmbedder
from infra.embeddings.windows import embedded_chunks
from infra.ports import VectorIndex
from infra.vector_index.sqlite_index import SqliteVectorIndex
from infra.vector_index.weaviate_index import open_weaviate_index
from models.chunks import DEFAULT_MAX_TOKENS, DEFAULT_OVERLAP_TOKENS
from models.ranking import ranked
from models.search_index import FileSelection, IndexedChunk, IndexedFile, IndexedStore, IndexQuery
from models.vector_stores import MAX_FILE_TOKENS
from tests.bench.many_files import measure_many_files
from tests.bench.vectors import vectors
from tests.infra.documents.files import pdf, stream
from tests.weaviate_server import WeaviateServer, running_weaviate, weaviate_module

STORE = IndexedStore("vs_bench", MODEL, DIMENSIONS)
SIZES = (1_000, 10_000, 100_000)
MODEL_THREADS = 1
CHUNKS_PER_FILE = 100
WORDS_PER_CHUNK = 150
VOCABULARY = 20_000
# As stop words are left out of queries.
COMMONEST = 50
QUERIES = 60
WINDOW_TOKENS = 240
WINDOWS = 24
PAGES = 20
PAGE = " ".join(
    f"Shelf {number} of the warehouse has the spare parts of the pumps on floor {{page}}." for number in range(25)
)


def measure_search() -> None:
    asyncio.run(_measure())


async def _measure() -> None:
    await _measure_model()
    await _measure_ingestion()
    columns = ("", "chunks", "ingest/s", "first ms", "p50 ms", "p95 ms", "CPU ms", "disk MB", "RSS MB")
    print(" ".join(f"{column:>9}" for column in columns), flush=True)
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder, closing(SqliteVectorIndex(Path(folder), 10**9)) as index:
            await _measure_index("embedded", index, Path(folder), size, psutil.Process())
    await _measure_weaviate()
    await measure_many_files()


async def _measure_weaviate() -> None:
    if not weaviate_module().is_built:
        print("Weaviate is left out: `make test-weaviate` builds it")
        return
    for size in SIZES:
        with (
            tempfile.TemporaryDirectory() as folder,
            running_weaviate(WeaviateServer(Path(folder))) as server,
        ):
            async with open_weaviate_index(server.url) as weaviate:
                await _measure_index("weaviate", weaviate, server.data_folder, size, server.process)


async def _measure_model() -> None:
    with closing(MiniLmEmbedder(MODEL_THREADS)) as embedder:
        [_, *_] = await embedder.embed(["loads the model"])
        windows = [" ".join(f"the {number}" for number in range(at, at + WINDOW_TOKENS // 2)) for at in range(WINDOWS)]
        began, cpu = time.perf_counter(), time.process_time()
        await embedder.embed(windows)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(f"model: {WINDOWS / seconds:.1f} windows/s, {WINDOWS / cpu:.1f} per CPU second, {MODEL_THREADS} thread")
        began = time.perf_counter()
        for number in range(WINDOWS):
            await embedder.embed([f"How long is the warranty of pump number {number}?"])
        print(f"model: {(time.perf_counter() - began) / WINDOWS * 1000:.1f} ms for a query")


async def _measure_ingestion() -> None:
    """All that makes a PDF searchable but the database and Temporal: read, cut, embedded and indexed."""
    file, pages = IndexedFile("file-pdf", 1), [PAGE.format(page=number) for number in range(PAGES)]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteVectorIndex(Path(folder), 10**9)) as index,
        closing(MiniLmEmbedder(MODEL_THREADS)) as embedder,
    ):
        await embedder.embed(["loads the model"])
        began = time.perf_counter()
        document = await parse(stream(pdf(*pages)), "bench.pdf")
        cut = await asyncio.to_thread(chunks, document, DEFAULT_MAX_TOKENS, DEFAULT_OVERLAP_TOKENS, MAX_FILE_TOKENS)
        await index.upsert(STORE, file, await embedded_chunks(embedder, cut))
        seconds = time.perf_counter() - began
    size = sum(map(len, pages)) / 1e6
    print(
        f"ingestion: {PAGES / seconds:.1f} pages/s, {size / seconds:.4f} MB of text/s, {MODEL_THREADS} thread",
        flush=True,
    )


async def _measure_index(name: str, index: VectorIndex, folder: Path, size: int, server: psutil.Process) -> None:
    """`server` is what the index is in, which may be this process."""
    words = _zipf_words()
    files = [IndexedFile(f"file-{number}", 1) for number in range(size // CHUNKS_PER_FILE)]
    began = time.perf_counter()
    for number, file in enumerate(files):
        await index.upsert(STORE, file, _chunks(words, number))
    ingested = time.perf_counter() - began
    first, *_ = await _search(index, files, 1)
    before = _cpu_seconds(server)
    measured = sorted(await _search(index, files, QUERIES))
    cpu = (_cpu_seconds(server) - before) / QUERIES * 1000
    disk_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    rss = server.memory_info().rss / 1e6
    print(
        f"{name:>9} {size:>9} {size / ingested:>9.0f} {first:>9.1f} {statistics.median(measured):>9.1f} "
        f"{measured[int(len(measured) * 0.95)]:>9.1f} {cpu:>9.1f} {disk_mb:>9.0f} {rss:>9.0f}",
        flush=True,
    )


def _cpu_seconds(server: psutil.Process) -> float:
    """Of this process and the index's."""
    return sum(sum(process.cpu_times()[:2]) for process in {psutil.Process(), server})


async def _search(index: VectorIndex, files: Sequence[IndexedFile], count: int) -> list[float]:
    chance = random.Random(count)
    measured, searched = [], FileSelection(files)
    for _ in range(count):
        text = " ".join(f"w{chance.randint(COMMONEST, 4000)}" for _ in range(5))
        [vector] = vectors(chance.randint(0, 10**6), 1)
        began = time.perf_counter()
        candidates = await index.search(STORE, IndexQuery(text, vector, searched))
        assert await index.texts(STORE, [each.key for each in ranked(candidates, limit=20)])
        measured.append((time.perf_counter() - began) * 1000)
    return measured


def _chunks(words: Sequence[str], file: int) -> Sequence[IndexedChunk]:
    chance = random.Random(file)
    return [
        IndexedChunk(number, " ".join(chance.choices(words, k=WORDS_PER_CHUNK)), None, [vector])
        for number, vector in enumerate(vectors(file, CHUNKS_PER_FILE))
    ]


def _zipf_words() -> Sequence[str]:
    # Not before the index's module, which sets how many threads numpy has.
    import numpy as np

    return [f"w{rank}" for rank in np.random.default_rng(1).zipf(1.3, size=400_000) % VOCABULARY]
