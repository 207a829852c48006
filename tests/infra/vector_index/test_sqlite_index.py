"""What the embedded index alone promises: files, kill -9, memory, damage."""

import random
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

from infra.vector_index import file_masks
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.file_masks import ROWS_PER_INDEX, FileMask, FileMasks
from infra.vector_index.matrices import Matrices, Matrix
from infra.vector_index.sqlite_file import reading
from infra.vector_index.sqlite_index import SqliteVectorIndex
from models.search_index import DifferingFiles, FileSelection, IndexedChunk, IndexedFile, IndexedStore, IndexQuery

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


async def test_search_counts_no_vectors_of_other_stores(
    index: SqliteVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [IndexedStore(f"vs_{number}", "test/model", 4) for number in range(10)]
    for store in stores:
        await index.upsert(store, FILE, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
        await index.search(store, QUERY)
    counted: list[Matrix] = []

    def count(matrix: Matrix) -> int:
        counted.append(matrix)
        return 100

    monkeypatch.setattr(Matrix, "size_bytes", property(count))
    await index.search(stores[0], QUERY)

    assert len({id(each) for each in counted}) == 1


async def test_vectors_without_those_of_removed_files_are_as_if_read_anew(
    index: SqliteVectorIndex, tmp_path: Path
) -> None:
    chance, matrices, reads = random.Random(1), Matrices(10**6), list[bool]()
    there: list[IndexedFile] = []

    for number in range(40):
        if len(there) > 2 and chance.random() < 0.5:
            await index.delete_file(STORE, there.pop(chance.randrange(len(there))).id)
        else:
            there.append(IndexedFile(f"file-{number}", 1))
            vectors = [(1.0, float(number), float(window), 0.0) for window in range(5)]
            # Neighbours share a window.
            chunks = [IndexedChunk(at, "pump", None, vectors[at * 2 : at * 2 + 3]) for at in range(2)]
            await index.upsert(STORE, there[-1], chunks)
        if chance.random() < 0.7:
            [path] = tmp_path.glob("*.db")
            statements: list[str] = []
            with reading(path) as connection:
                assert connection is not None
                anew = Matrices(10**6).of(path, connection, STORE.dimensions)
                connection.set_trace_callback(statements.append)
                found = matrices.of(path, connection, STORE.dimensions)
            assert found.removals == anew.removals
            for name in ("vector_ids", "vectors", "window_ids", "vector_rows", "chunks"):
                assert getattr(found, name).tolist() == getattr(anew, name).tolist(), name
            assert found.size_bytes == anew.size_bytes
            reads.append(any("vector WHERE id > 0 " in each for each in statements))

    assert reads == [True] + [False] * (len(reads) - 1)


async def test_rows_in_memory_are_bounded_but_for_the_last_store(index: SqliteVectorIndex, tmp_path: Path) -> None:
    masks, searched = FileMasks(most_rows=3), FileSelection([FILE, IndexedFile("file-three", 1)])
    for store in ("vs_one", "vs_two"):
        for file_id in ("file-one", "file-two", "file-three"):
            await index.upsert(IndexedStore(store, None, 0), IndexedFile(file_id, 1), [IndexedChunk(0, "pump")])
    first, second = sorted(tmp_path.glob("*.db"))

    found, is_read = mask(masks, first, searched)
    assert is_read
    assert [found.has(row) for row in (1, 2, 3, 4)] == [True, False, True, False]
    assert mask(masks, second, searched) == (found, True)
    assert mask(masks, second, searched) == (found, False)
    assert mask(masks, first, searched) == (found, True)
    assert mask(masks, second, searched) == (found, True)


async def test_indexes_of_few_rows_in_memory_are_bounded(index: SqliteVectorIndex, tmp_path: Path) -> None:
    masks, searched = FileMasks(most_rows=2 * (ROWS_PER_INDEX + 1)), FileSelection([FILE])
    for store in ("vs_one", "vs_two", "vs_zero"):
        await index.upsert(IndexedStore(store, None, 0), FILE, [IndexedChunk(0, "pump")])
    first, second, third = sorted(tmp_path.glob("*.db"))

    assert [mask(masks, path, searched)[1] for path in (first, second, first, second)] == [True, True, False, False]
    assert [mask(masks, path, searched)[1] for path in (third, second, first)] == [True, False, True]


async def test_rows_of_removed_files_are_forgotten_once_they_are_many(
    index: SqliteVectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_masks, "MOST_REMOVED", 0)
    files = [IndexedFile(f"file-{number}", 1) for number in range(4)]
    for file in files:
        await index.upsert(STORE, file, [IndexedChunk(0, "pump")])
    [path] = tmp_path.glob("*.db")
    masks, last = FileMasks(), FileSelection([files[3]])
    all_files = FileSelection(files)

    found = []
    for file in files[:3]:
        found.append(mask(masks, path, all_files)[1])
        await index.delete_file(STORE, file.id)

    assert found == [True, False, False]
    only_last = mask(masks, path, last)
    assert only_last[1]
    assert mask(masks, path, all_files) == (only_last[0], False)


async def test_selection_that_differs_from_another_has_its_rows(index: SqliteVectorIndex, tmp_path: Path) -> None:
    files = [IndexedFile(f"file-{number}", 1) for number in range(6)]
    for file in files:
        await index.upsert(STORE, file, [IndexedChunk(0, "pump")])
    [path] = tmp_path.glob("*.db")
    base = FileSelection(files[:4])
    other = FileSelection(DifferingFiles(base, frozenset(files[:1]), frozenset(files[4:5])))
    plain = FileSelection(files[1:5])

    masks = FileMasks()

    # Whether an index knows the other one or not.
    assert mask(masks, path, other)[0] == mask(masks, path, plain)[0] != mask(masks, path, base)[0]
    assert mask(masks, path, replace(other))[0] == mask(masks, path, plain)[0]


async def test_index_that_another_process_made_anew_is_read_anew(index: SqliteVectorIndex, tmp_path: Path) -> None:
    other = IndexedFile("file-two", 1)
    await index.upsert(STORE, FILE, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
    await index.search(STORE, QUERY)
    [path] = tmp_path.glob("*.db")

    with closing(SqliteVectorIndex(tmp_path / "elsewhere", 0)) as another:
        await another.upsert(STORE, other, [IndexedChunk(0, "pump", None, [QUERY.vector or ()])])
    # The new file may have the inode of the one that was dropped.
    path.write_bytes((tmp_path / "elsewhere" / path.name).read_bytes())

    found = await index.search(STORE, replace(QUERY, files=FileSelection([other])))
    assert [each.key.file for each in (*found.by_vector, *found.by_keywords)] == [other, other]


def mask(masks: FileMasks, path: Path, searched: FileSelection) -> tuple[FileMask, bool]:
    """And whether all rows were read."""
    statements: list[str] = []
    with reading(path) as connection:
        assert connection is not None
        connection.set_trace_callback(statements.append)
        return masks.of(path, connection, searched), any("row > 0 " in each for each in statements)


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
