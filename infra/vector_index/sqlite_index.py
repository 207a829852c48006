"""The embedded index: a SQLite file for each store, with FTS5 for keywords and vectors that numpy compares."""

import asyncio
import hashlib
import math
import sqlite3
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.file_masks import FileMask, FileMasks
from infra.vector_index.matrices import Hit, Matrices
from infra.vector_index.sqlite_file import CHUNK_BITS, create, reading, remove, writing
from models.search_index import (
    Candidate,
    Candidates,
    ChunkKey,
    IndexedChunk,
    IndexedFile,
    IndexedStore,
    IndexQuery,
    Vector,
)
from models.search_terms import search_terms

CHUNKS_PER_TRANSACTION = 200
THREADS = 4
K1_PLUS_1 = 2.2
"""FTS5's bm25() has k1 = 1.2: a term adds less than (k1 + 1) x its idf."""

MIN_IDF = 1e-6
"""FTS5's idf of a term that half of the chunks have, or more."""

_ROWS_BEFORE = "SELECT row FROM file WHERE id = ? AND generation < coalesce(?, generation + 1)"
_ROWS_OF = "SELECT row FROM file WHERE id = ? AND generation = ?"

Result = TypeVar("Result")


class SqliteVectorIndex:
    """Any number of processes may use one folder: a file says what changed since another read it."""

    def __init__(self, folder: Path, cache_bytes: int) -> None:
        """`cache_bytes` bounds the vectors in memory, but for those of the store that was searched last."""
        self._folder = folder
        self._matrices = Matrices(cache_bytes)
        self._masks = FileMasks()
        self._threads = ThreadPoolExecutor(THREADS, "vector-index")
        # Vectors are compared beside the keyword search of the same query.
        self._comparing = ThreadPoolExecutor(THREADS, "vector-index-vectors")

    async def upsert(self, store: IndexedStore, file: IndexedFile, chunks: Sequence[IndexedChunk]) -> None:
        for at in range(0, len(chunks), CHUNKS_PER_TRANSACTION):
            await self._in_thread(self._upsert, store, file, chunks[at : at + CHUNKS_PER_TRANSACTION])

    async def search(self, store: IndexedStore, query: IndexQuery) -> Candidates:
        return await self._in_thread(self._search, store, query)

    async def texts(self, store: IndexedStore, keys: Collection[ChunkKey]) -> Mapping[ChunkKey, IndexedChunk]:
        return await self._in_thread(self._texts, store, keys)

    async def chunks(self, store: IndexedStore, file: IndexedFile, after: int, limit: int) -> Sequence[IndexedChunk]:
        return await self._in_thread(self._chunks, store, file, after, limit)

    async def delete_file(self, store: IndexedStore, file_id: str, keep_generation: int | None = None) -> None:
        await self._in_thread(self._delete_rows, store, _ROWS_BEFORE, (file_id, keep_generation))

    async def delete_generation(self, store: IndexedStore, file: IndexedFile) -> None:
        await self._in_thread(self._delete_rows, store, _ROWS_OF, (file.id, file.generation))

    async def drop(self, store: IndexedStore) -> None:
        await self._in_thread(self._drop, store)

    async def check(self) -> None:
        await self._in_thread(self._check)

    @property
    def cached_bytes(self) -> int:
        return self._matrices.size_bytes

    def close(self) -> None:
        """Wait for what has begun."""
        self._threads.shutdown()
        self._comparing.shutdown()

    async def _in_thread(self, work: Callable[..., Result], *args: object) -> Result:
        return await asyncio.wrap_future(self._threads.submit(work, *args))

    def _path(self, store: IndexedStore) -> Path:
        model = f"{store.embedding_model}/{store.dimensions}" if store.embedding_model else "keywords"
        return self._folder / f"{store.id}.{hashlib.sha256(model.encode()).hexdigest()[:12]}.db"

    def _upsert(self, store: IndexedStore, file: IndexedFile, chunks: Sequence[IndexedChunk]) -> None:
        blobs = {chunk.number: [_f16(vector, store.dimensions) for vector in chunk.vectors] for chunk in chunks}
        path = self._path(store)
        if not path.exists():
            self._make_folder()
            create(path)
        with writing(path) as connection:
            row = _file_row(connection, file)
            known: dict[bytes, int] = {}
            for chunk in chunks:
                _add_chunk(connection, row, chunk, blobs[chunk.number], known)

    def _search(self, store: IndexedStore, query: IndexQuery) -> Candidates:
        path = self._path(store)
        with reading(path) as connection:
            if connection is None:
                if query.files is None or len(query.files):
                    raise VectorIndexUnavailable(f"There is no {path}: do the API and the workers share this folder?")
                return Candidates((), (), 0.0)
            searched = None if query.files is None else self._masks.of(path, connection, query.files)
            comparing = self._compare(path, connection, store, query, searched)
            terms = _Terms.of(connection, query.text)
            by_keywords = _by_keywords(connection, terms, searched, query.limit)
            by_vector = comparing.result() if comparing else ()
            keys = _keys(connection, store, {hit.chunk for hit in (*by_vector, *by_keywords)})
        return Candidates(
            by_vector=_candidates(by_vector, keys),
            by_keywords=_candidates(by_keywords, keys),
            max_keyword_score=terms.max_score,
        )

    def _compare(
        self,
        path: Path,
        connection: sqlite3.Connection,
        store: IndexedStore,
        query: IndexQuery,
        searched: FileMask | None,
    ) -> "Future[Sequence[Hit]] | None":
        if query.vector is None or not store.embedding_model:
            return None
        matrix = self._matrices.of(path, connection, store.dimensions)
        return self._comparing.submit(matrix.nearest, query.vector, searched, query.limit)

    def _texts(self, store: IndexedStore, keys: Collection[ChunkKey]) -> Mapping[ChunkKey, IndexedChunk]:
        with reading(self._path(store)) as connection:
            if connection is None:
                return {}
            rows = {file: _row_of(connection, file) for file in {key.file for key in keys}}
            ids = {_chunk_id(row, key.number): key for key in keys if (row := rows[key.file]) is not None}
            found = connection.execute(f"SELECT id, page, text FROM chunk WHERE id IN ({_marks(ids)})", tuple(ids))  # noqa: S608
            return {ids[chunk_id]: _chunk(chunk_id, page, text) for chunk_id, page, text in found}

    def _chunks(self, store: IndexedStore, file: IndexedFile, after: int, limit: int) -> Sequence[IndexedChunk]:
        with reading(self._path(store)) as connection:
            row = _row_of(connection, file) if connection else None
            if connection is None or row is None:
                return []
            rows = connection.execute(
                "SELECT id, page, text FROM chunk WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                (_chunk_id(row, after), _chunk_id(row + 1, 0), limit),
            )
            return [_chunk(*found) for found in rows]

    def _delete_rows(self, store: IndexedStore, which: str, about: tuple[str, int | None]) -> None:
        path = self._path(store)
        if not path.exists():
            return
        with writing(path) as connection:
            for (row,) in connection.execute(which, about).fetchall():
                _delete_row(connection, row)

    def _drop(self, store: IndexedStore) -> None:
        path = self._path(store)
        remove(path)
        self._matrices.forget(path)
        self._masks.forget(path)

    def _check(self) -> None:
        self._make_folder()
        try:
            with TemporaryFile(dir=self._folder) as file:
                file.write(b"-")
        except OSError as error:
            raise VectorIndexUnavailable(f"The search index cannot be written: {error}") from error

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VectorIndexUnavailable(f"The folder of the search index cannot be made: {error}") from error


def _f16(vector: Vector, dimensions: int) -> bytes:
    if len(vector) != dimensions:
        raise ValueError(f"a vector of {len(vector)} dimensions in a store of {dimensions}")
    return struct.pack(f"<{dimensions}e", *vector)


def _row_of(connection: sqlite3.Connection, file: IndexedFile) -> int | None:
    found = connection.execute("SELECT row FROM file WHERE id = ? AND generation = ?", (file.id, file.generation))
    row: tuple[int] | None = found.fetchone()
    return row[0] if row else None


def _file_row(connection: sqlite3.Connection, file: IndexedFile) -> int:
    connection.execute("INSERT OR IGNORE INTO file (id, generation) VALUES (?, ?)", (file.id, file.generation))
    row = _row_of(connection, file)
    assert row is not None  # noqa: S101 - it was inserted just now
    return row


def _add_chunk(
    connection: sqlite3.Connection, row: int, chunk: IndexedChunk, vectors: Sequence[bytes], known: dict[bytes, int]
) -> None:
    """`known` are the vectors of the chunks before, by their bytes: neighbours share some."""
    chunk_id = _chunk_id(row, chunk.number)
    added = connection.execute(
        "INSERT OR IGNORE INTO chunk (id, page, text) VALUES (?, ?, ?)", (chunk_id, chunk.page, chunk.text)
    )
    if not added.rowcount:
        return
    for vector in vectors:
        if vector not in known:
            inserted = connection.execute("INSERT INTO vector (file, f16) VALUES (?, ?)", (row, vector))
            assert inserted.lastrowid is not None  # noqa: S101 - of a row that was inserted
            known[vector] = inserted.lastrowid
        connection.execute("INSERT INTO window (chunk, vector) VALUES (?, ?)", (chunk_id, known[vector]))


def _delete_row(connection: sqlite3.Connection, row: int) -> None:
    ids = (_chunk_id(row, 0), _chunk_id(row + 1, 0))
    connection.execute("DELETE FROM window WHERE chunk >= ? AND chunk < ?", ids)
    connection.execute("DELETE FROM vector WHERE file = ?", (row,))
    connection.execute("DELETE FROM chunk WHERE id >= ? AND id < ?", ids)
    connection.execute("DELETE FROM file WHERE row = ?", (row,))
    connection.execute("UPDATE state SET removals = removals + 1")


def _files_of_rows(connection: sqlite3.Connection, rows: set[int]) -> dict[int, IndexedFile]:
    found = connection.execute(f"SELECT row, id, generation FROM file WHERE row IN ({_marks(rows)})", tuple(rows))  # noqa: S608
    return {row: IndexedFile(file_id, generation) for row, file_id, generation in found}


class _Terms:
    """The terms of a query as FTS5 takes them, and the BM25 that a chunk with all of them would have at most."""

    def __init__(self, frequencies: dict[str, int], chunk_count: int) -> None:
        idf = {
            term: max(math.log((chunk_count - count + 0.5) / (count + 0.5)), MIN_IDF)
            for term, count in frequencies.items()
        }
        self.max_score = K1_PLUS_1 * sum(idf.values())
        found = [term for term, count in frequencies.items() if count]
        # Terms of every second chunk add nothing to a score, and to go through their chunks costs most.
        rare = [term for term in found if idf[term] > MIN_IDF]
        self.expression = " OR ".join(rare or found)

    @classmethod
    def of(cls, connection: sqlite3.Connection, query: str) -> "_Terms":
        # Words are letters and digits alone, so that nothing in them means anything to FTS5.
        terms = [f'"{" ".join(words)}"' for words in search_terms(query)]
        if not terms:
            return cls({}, 0)
        return cls({term: _frequency(connection, term) for term in terms}, _chunk_count(connection))


def _frequency(connection: sqlite3.Connection, term: str) -> int:
    (count,) = connection.execute("SELECT count(*) FROM words WHERE words MATCH ?", (term,)).fetchone()
    return int(count)


def _chunk_count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT chunks FROM state").fetchone()
    return int(count)


def _by_keywords(connection: sqlite3.Connection, terms: _Terms, searched: FileMask | None, limit: int) -> Sequence[Hit]:
    if not terms.expression:
        return []
    best_first = "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank"
    if searched is None:
        found = connection.execute(f"{best_first} LIMIT ?", (terms.expression, limit))
        return [Hit(chunk_id, score) for chunk_id, score in found]
    # FTS5 sorts all matches first; those of other files are passed over until there are enough.
    best = connection.execute(best_first, (terms.expression,))
    hits: list[Hit] = []
    for chunk_id, score in best:
        if searched.has(chunk_id >> CHUNK_BITS):
            hits.append(Hit(chunk_id, score))
            if len(hits) == limit:
                break
    return hits


def _keys(connection: sqlite3.Connection, store: IndexedStore, ids: set[int]) -> dict[int, ChunkKey]:
    """Of the chunks that there are. Another search may have put vectors of a later state into memory."""
    files = _files_of_rows(connection, {chunk_id >> CHUNK_BITS for chunk_id in ids})
    found = connection.execute(f"SELECT id FROM chunk WHERE id IN ({_marks(ids)})", tuple(ids))  # noqa: S608
    return {chunk_id: ChunkKey(store, files[chunk_id >> CHUNK_BITS], _number_of(chunk_id)) for (chunk_id,) in found}


def _candidates(hits: Sequence[Hit], keys: Mapping[int, ChunkKey]) -> Sequence[Candidate]:
    return [Candidate(keys[hit.chunk], hit.score) for hit in hits if hit.chunk in keys]


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))


def _chunk_id(row: int, number: int) -> int:
    return (row << CHUNK_BITS) + number


def _chunk(chunk_id: int, page: int | None, text: str) -> IndexedChunk:
    return IndexedChunk(_number_of(chunk_id), text, page)


def _number_of(chunk_id: int) -> int:
    return chunk_id & ((1 << CHUNK_BITS) - 1)
