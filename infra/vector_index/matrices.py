"""The vectors of stores that were searched lately, in memory; read anew as far as their file has changed."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.vector_index.file_masks import FileMask
from infra.vector_index.sqlite_file import CHUNK_BITS, Removals, removals_of
from models.search_index import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk's id in the file, and its score."""

    chunk: int
    score: float


@dataclass(frozen=True)
class Matrix:
    """A vector in each row; window N has the vector of row `vector_rows[N]` and is of chunk `chunks[N]`."""

    removals: Removals
    vector_ids: "NDArray[np.int64]"
    vectors: "NDArray[np.float32]"
    window_ids: "NDArray[np.int64]"
    vector_rows: "NDArray[np.int64]"
    chunks: "NDArray[np.int64]"

    @property
    def size_bytes(self) -> int:
        arrays: Sequence[Any] = (self.vector_ids, self.vectors, self.window_ids, self.vector_rows, self.chunks)
        return sum(int(array.nbytes) for array in arrays)

    def nearest(self, query: Vector, searched: FileMask | None, limit: int) -> Sequence[Hit]:
        """The chunks with the largest cosines, of all files or those that are `searched`; each once, by its best."""
        import numpy as np

        if searched is None:
            if not len(self.chunks):
                return []
            cosines = (self.vectors @ np.asarray(query, dtype=np.float32))[self.vector_rows]
            return _best_per_chunk(self.chunks, cosines, limit)
        chosen = np.flatnonzero(searched.has_rows(self.chunks >> CHUNK_BITS))
        if not len(chosen):
            return []
        scores = self._cosines(np.asarray(query, dtype=np.float32), self.vector_rows[chosen])
        return _best_per_chunk(self.chunks[chosen], scores, limit)

    def _cosines(self, query: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
        # To copy the rows costs more than to compare them, unless they are few.
        if len(rows) * 4 < len(self.vectors):
            return self.vectors[rows] @ query
        return (self.vectors @ query)[rows]


def _best_per_chunk(chunks: "NDArray[np.int64]", scores: "NDArray[np.float32]", limit: int) -> Sequence[Hit]:
    import numpy as np

    # A chunk's windows follow one another.
    starts = np.flatnonzero(np.diff(chunks, prepend=-1))
    best = np.maximum.reduceat(scores, starts)
    ids = chunks[starts]
    if len(best) > limit:
        some = np.argpartition(-best, limit)[:limit]
        best, ids = best[some], ids[some]
    order = np.lexsort((ids, -best))
    return [Hit(int(ids[index]), float(best[index])) for index in order]


class Matrices:
    """Forgets the store that was not searched for longest, until the rest is at most `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._matrices: OrderedDict[Path, Matrix] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def of(self, path: Path, connection: sqlite3.Connection, dimensions: int) -> Matrix:
        """The vectors in the state that `connection` reads."""
        with self._lock:
            known = self._matrices.get(path)
        matrix = _up_to_date(known, path, connection, dimensions)
        with self._lock:
            self._forget(path)
            self._matrices[path] = matrix
            self._size_bytes += matrix.size_bytes
            while len(self._matrices) > 1 and self._size_bytes > self._limit_bytes:
                self._forget(next(iter(self._matrices)))
        return matrix

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def forget(self, path: Path) -> None:
        with self._lock:
            self._forget(path)

    def _forget(self, path: Path) -> None:
        matrix = self._matrices.pop(path, None)
        self._size_bytes -= matrix.size_bytes if matrix else 0


def _up_to_date(known: Matrix | None, path: Path, connection: sqlite3.Connection, dimensions: int) -> Matrix:
    import numpy as np

    removals = removals_of(path, connection)
    if known is None or known.removals.index != removals.index or known.removals.count > removals.count:
        none = np.empty(0, dtype=np.int64)
        known = Matrix(removals, none, np.empty((0, dimensions), dtype=np.float32), none, none, none)
    elif known.removals != removals:
        known = _without_removed(known, removals, connection)
    return _with_added(known, connection, dimensions)


def _without_removed(known: Matrix, removals: Removals, connection: sqlite3.Connection) -> Matrix:
    """Files are removed as a whole; a vector is of the file that its windows are of."""
    import numpy as np

    rows = np.fromiter(chain.from_iterable(connection.execute("SELECT row FROM file")), dtype=np.int64)
    is_kept = FileMask.of(rows, int(rows.max(initial=0))).has_rows(known.chunks >> CHUNK_BITS)
    is_used = np.zeros(len(known.vectors), dtype=bool)
    is_used[known.vector_rows[is_kept]] = True
    return Matrix(
        removals=removals,
        vector_ids=known.vector_ids[is_used],
        vectors=known.vectors[is_used],
        window_ids=known.window_ids[is_kept],
        vector_rows=(np.cumsum(is_used) - 1)[known.vector_rows[is_kept]],
        chunks=known.chunks[is_kept],
    )


def _with_added(known: Matrix, connection: sqlite3.Connection, dimensions: int) -> Matrix:
    import numpy as np

    windows = connection.execute(
        "SELECT id, chunk, vector FROM window WHERE id > ? ORDER BY id", (_last(known.window_ids),)
    ).fetchall()
    if not windows:
        return known
    added = np.array(windows, dtype=np.int64)
    vectors = connection.execute(
        "SELECT id, f16 FROM vector WHERE id > ? ORDER BY id", (_last(known.vector_ids),)
    ).fetchall()
    vector_ids = np.concatenate([known.vector_ids, np.array([row[0] for row in vectors], dtype=np.int64)])
    halves = np.frombuffer(b"".join(row[1] for row in vectors), dtype="<f2").reshape(-1, dimensions)
    return Matrix(
        removals=known.removals,
        vector_ids=vector_ids,
        vectors=np.concatenate([known.vectors, halves.astype(np.float32)]),
        window_ids=np.concatenate([known.window_ids, added[:, 0]]),
        vector_rows=np.concatenate([known.vector_rows, np.searchsorted(vector_ids, added[:, 2])]),
        chunks=np.concatenate([known.chunks, added[:, 1]]),
    )


def _last(ids: "NDArray[np.int64]") -> int:
    return int(ids[-1]) if len(ids) else 0
