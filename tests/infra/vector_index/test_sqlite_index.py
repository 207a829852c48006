"""What the embedded index alone promises: files, kill -9, memory, damage."""

import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.file_masks import FileMask, FileMasks
from infra.vector_index.sqlite_file import reading
from infra.vector_index.sqlite_index import SqliteVectorIndex
from models.search_index import FileSelection, IndexedChunk, IndexedFile, IndexedStore, IndexQuery

STORE = IndexedStore("vs_one", "test/model", 4)
FILE = IndexedFile("file-one", 1)
QUERY = IndexQuery("pump", (1.0, 0.0, 0.0, 0.0), FileSelection([FILE]))

INGEST = """
import asyncio, sys
from pathlib import Path
from infra.vector_index.sqlite_index import SqliteVectorIndex
from models.search_index import IndexedChunk, IndexedFile, IndexedStore

async def main():
    index = SqliteVectorIndex(Path(sys.argv[1]), 1_000_000)
    store, file = IndexedStore("vs_one", "test/model", 4), IndexedFile("file-one", 1)
    for at in range(0, 1_000_000, 100):
        chunks = [IndexedChunk(at + n, f"pump {at + n}", None, [(1.0, 0.0, n / 100, 0.0)]) for n in range(100)]
        await index.upsert(store, file, chunks)
        print(at + 100, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteVectorIndex]:
    with closing(SqliteVectorIndex(tmp_path, cache_bytes=1_000_000)) as opened:
        yield opened


@pytest.mark.parametrize("batches", [1, 2, 5])
async def test_killed_ingestion_leaves_whole_batches(batches: int, tmp_path: Path) -> None:
    lines = _ingested_until_killed(tmp_path, batches)

    [path] = tmp_path.glob("vs_one.*.db")
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        file.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        counts = [file.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("chunk", "vector", "window")]
    assert counts[0] >= lines[-1]
    assert counts[0] % 100 == 0
    assert len(set(counts)) == 1
    # Another process goes on where it was.
    with closing(SqliteVectorIndex(tmp_path, 1_000_000)) as index:
        await index.upsert(STORE, FILE, [IndexedChunk(counts[0] + 7, "valve", None, [(0.0, 1.0, 0.0, 0.0)])])
        found = await index.search(STORE, IndexQuery("valve", (0.0, 1.0, 0.0, 0.0), FileSelection([FILE])))
        [key] = {found.by_vector[0].key, found.by_keywords[0].key}
        assert (await index.texts(STORE, [key]))[key].text == "valve"


async def test_drop_leaves_no_file(index: SqliteVectorIndex, tmp_path: Path) -> None:
    await index.upsert(STORE, FILE, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
    assert list(tmp_path.iterdir()) != []

    await index.drop(STORE)

    assert list(tmp_path.iterdir()) == []


async def test_searching_makes_no_file(index: SqliteVectorIndex, tmp_path: Path) -> None:
    with pytest.raises(VectorIndexUnavailable):
        await index.search(STORE, QUERY)

    assert list(tmp_path.iterdir()) == []


async def test_vectors_in_memory_are_bounded_but_for_the_last_store(tmp_path: Path) -> None:
    with closing(SqliteVectorIndex(tmp_path, cache_bytes=3000)) as index:
        stores = [IndexedStore(f"vs_{number}", "test/model", 4) for number in range(6)]
        for store in stores:
            await index.upsert(store, FILE, [IndexedChunk(n, "pump", None, [(1.0, 0.0, n, 0.0)]) for n in range(20)])
        for store in [*stores, *stores]:
            assert len((await index.search(store, QUERY)).by_vector) == 20
            assert 0 < index.cached_bytes <= 3000

        await index.upsert(STORE, FILE, [IndexedChunk(n, "pump", None, [(1.0, 0.0, n, 0.0)]) for n in range(200)])
        assert len((await index.search(STORE, QUERY)).by_vector) == 50
        assert index.cached_bytes > 3000

        await index.drop(STORE)
        assert index.cached_bytes == 0


async def test_rows_in_memory_are_bounded_but_for_the_last_store(index: SqliteVectorIndex, tmp_path: Path) -> None:
    masks, searched = FileMasks(most_rows=3), FileSelection([FILE, IndexedFile("file-three", 1)])
    for store in ("vs_one", "vs_two"):
        for file_id in ("file-one", "file-two", "file-three"):
            await index.upsert(IndexedStore(store, None, 0), IndexedFile(file_id, 1), [IndexedChunk(0, "pump")])
    first, second = sorted(tmp_path.glob("*.db"))

    def mask(path: Path) -> tuple[FileMask, bool]:
        """And whether all rows were read."""
        statements: list[str] = []
        with reading(path) as connection:
            assert connection is not None
            connection.set_trace_callback(statements.append)
            return masks.of(path, connection, searched), any("row > 0 " in each for each in statements)

    found, is_read = mask(first)
    assert is_read
    assert [found.has(row) for row in (1, 2, 3, 4)] == [True, False, True, False]
    assert mask(second) == (found, True)
    assert mask(second) == (found, False)
    assert mask(first) == (found, True)
    assert mask(second) == (found, True)


async def test_selections_take_no_memory_for_rows_of_other_files(index: SqliteVectorIndex, tmp_path: Path) -> None:
    other = IndexedFile("file-two", 1)
    await index.upsert(STORE, other, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
    [path] = tmp_path.glob("*.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 1000000 WHERE name = 'file'")
    await index.upsert(STORE, FILE, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
    await index.search(STORE, QUERY)
    selections = [FileSelection([FILE]) for _ in range(20)]

    tracemalloc.start()
    try:
        for each in selections:
            found = await index.search(STORE, replace(QUERY, files=each))
            assert [candidate.key.file for candidate in found.by_keywords] == [FILE]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 5_000_000


async def test_damaged_file_is_reported(index: SqliteVectorIndex, tmp_path: Path) -> None:
    await index.upsert(STORE, FILE, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
    [path] = tmp_path.glob("*.db")
    path.write_bytes(b"no database at all" * 300)

    with pytest.raises(VectorIndexUnavailable) as of_search:
        await index.search(STORE, QUERY)
    with pytest.raises(VectorIndexUnavailable) as of_upsert:
        await index.upsert(STORE, FILE, [IndexedChunk(1, "pump")])

    assert all("not a database" in raised.value.reason for raised in (of_search, of_upsert))


async def test_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with closing(SqliteVectorIndex(tmp_path / "file" / "index", 1000)) as index:
        with pytest.raises(VectorIndexUnavailable):
            await index.check()
        with pytest.raises(VectorIndexUnavailable):
            await index.upsert(STORE, FILE, [IndexedChunk(0, "pump")])


def _ingested_until_killed(folder: Path, batches: int) -> list[int]:
    with subprocess.Popen([sys.executable, "-c", INGEST, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(batches)]
        process.send_signal(signal.SIGKILL)
        return [int(line) for line in [*lines, *process.stdout]]
