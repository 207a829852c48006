"""Which rows of an index's file are of the files that a search is of."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from infra.vector_index.sqlite_file import removals_of
from models.search_index import FileSelection, IndexedFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ROWS = 100_000
"""Of all indexes together: 30 MB."""


@dataclass(frozen=True)
class FileMask:
    """A byte for each row up to the last, and a zero in place of rows that are added later."""

    rows: bytes

    def has(self, row: int) -> bool:
        return row < len(self.rows) and self.rows[row] == 1

    def has_rows(self, rows: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        import numpy as np

        return np.frombuffer(self.rows, dtype=bool)[np.minimum(rows, len(self.rows) - 1)]


@dataclass(frozen=True, eq=False)
class _FileRows:
    """The row of each file, and the masks that were made of these."""

    removals: tuple[int, int]
    last: int
    by_file: Mapping[IndexedFile, int]
    masks: WeakKeyDictionary[FileSelection, FileMask] = field(default_factory=WeakKeyDictionary)


class FileMasks:
    """Forgets the index that was not searched for longest, until the rest have at most `most_rows`."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most_rows = most_rows
        self._rows: OrderedDict[Path, _FileRows] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path, connection: sqlite3.Connection, searched: FileSelection) -> FileMask:
        """The rows in the state that `connection` reads, or in a later one."""
        with self._lock:
            rows = _up_to_date(self._rows.get(path), path, connection)
            self._rows[path] = rows
            self._rows.move_to_end(path)
            while len(self._rows) > 1 and sum(len(each.by_file) for each in self._rows.values()) > self._most_rows:
                self._rows.popitem(last=False)
            return rows.masks.get(searched) or rows.masks.setdefault(searched, _mask(rows, searched))

    def forget(self, path: Path) -> None:
        with self._lock:
            self._rows.pop(path, None)


def _up_to_date(known: _FileRows | None, path: Path, connection: sqlite3.Connection) -> _FileRows:
    removals = removals_of(path, connection)
    if known is None or known.removals != removals:
        known = _FileRows(removals, 0, {})
    added = connection.execute("SELECT row, id, generation FROM file WHERE row > ? ORDER BY row", (known.last,))
    rows = {IndexedFile(file_id, generation): row for row, file_id, generation in added}
    if not rows:
        return known
    return _FileRows(removals, max(rows.values()), {**known.by_file, **rows})


def _mask(rows: _FileRows, searched: FileSelection) -> FileMask:
    mask = bytearray(rows.last + 2)
    for file in searched.files:
        if row := rows.by_file.get(file):
            mask[row] = 1
    return FileMask(bytes(mask))
