"""Which rows of an index's file are of the files that a search is of."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from infra.vector_index.sqlite_file import Removals, removals_of
from models.search_index import DifferingFiles, FileSelection, IndexedFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ROWS = 100_000
"""Of all indexes together: 30 MB."""
ROWS_PER_INDEX = 6
"""An index itself takes as much memory as so many rows: most stores have a few files."""
MOST_REMOVED = 100
"""So few removed files are not worth reading the others anew."""


@dataclass(frozen=True)
class FileMask:
    """A byte for each row up to the last, and a zero in place of rows that are added later."""

    rows: bytes

    @classmethod
    def of(cls, selected: "NDArray[np.int64]", last: int) -> Self:
        import numpy as np

        mask = np.zeros(last + 2, dtype=bool)
        mask[selected] = True
        return cls(mask.tobytes())

    def has(self, row: int) -> bool:
        return row < len(self.rows) and self.rows[row] == 1

    def has_rows(self, rows: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        import numpy as np

        return np.frombuffer(self.rows, dtype=bool)[np.minimum(rows, len(self.rows) - 1)]


@dataclass(eq=False)
class _FileRows:
    """The row of each file, and those of the selections that were searched. A file that was removed may still be here:
    no chunk has its row, nor ever will.
    """

    removals: Removals
    last: int = 0
    by_file: dict[IndexedFile, int] = field(default_factory=dict)
    # Not their masks: each has a byte for every row of the index, however few files are selected.
    selected: "WeakKeyDictionary[FileSelection, NDArray[np.int64]]" = field(default_factory=WeakKeyDictionary)

    @property
    def size(self) -> int:
        return len(self.by_file) + ROWS_PER_INDEX

    def of(self, searched: FileSelection) -> "NDArray[np.int64]":
        known = self.selected.get(searched)
        if known is None:
            known = self.selected[searched] = self._rows_of(searched)
        return known

    def add(self, rows: Mapping[IndexedFile, int]) -> None:
        is_moved = not self.by_file.keys().isdisjoint(rows)
        self.by_file.update(rows)
        self.last = max(self.last, *rows.values())
        for selection, known in list(self.selected.items()):
            # Some of its files had no row, which may be among these.
            if is_moved or len(known) < len(selection):
                del self.selected[selection]

    def _rows_of(self, searched: FileSelection) -> "NDArray[np.int64]":
        import numpy as np

        files = searched.files
        if not isinstance(files, DifferingFiles):
            return self._rows(files)
        rows = np.setdiff1d(self.of(files.base), self._rows(files.lacks), assume_unique=True)
        return np.concatenate([rows, self._rows(files.adds)])

    def _rows(self, files: Collection[IndexedFile]) -> "NDArray[np.int64]":
        import numpy as np

        return np.array([row for file in files if (row := self.by_file.get(file))], dtype=np.int64)


class FileMasks:
    """Forgets the index that was not searched for longest, until the rest have at most `most_rows`."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most_rows = most_rows
        self._rows: OrderedDict[Path, _FileRows] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def of(self, path: Path, connection: sqlite3.Connection, searched: FileSelection) -> FileMask:
        """The rows in the state that `connection` reads, or in a later one."""
        with self._lock:
            # What it has is counted again afterwards.
            rows = _up_to_date(self._forget(path), path, connection)
            selected, last = rows.of(searched), rows.last
            self._remember(path, rows)
        return FileMask.of(selected, last)

    def forget(self, path: Path) -> None:
        with self._lock:
            self._forget(path)

    def _remember(self, path: Path, rows: _FileRows) -> None:
        self._rows[path] = rows
        self._count += rows.size
        while self._count > self._most_rows and len(self._rows) > 1:
            self._forget(next(iter(self._rows)))

    def _forget(self, path: Path) -> _FileRows | None:
        rows = self._rows.pop(path, None)
        self._count -= rows.size if rows else 0
        return rows


def _up_to_date(known: _FileRows | None, path: Path, connection: sqlite3.Connection) -> _FileRows:
    removals = removals_of(path, connection)
    if known is None or _is_outdated(known, removals):
        known = _FileRows(removals)
    added = connection.execute("SELECT row, id, generation FROM file WHERE row > ? ORDER BY row", (known.last,))
    rows = {IndexedFile(file_id, generation): row for row, file_id, generation in added}
    if rows:
        known.add(rows)
    return known


def _is_outdated(known: _FileRows, removals: Removals) -> bool:
    """Whether the index was made anew, or so many of its files were removed that it pays to forget them."""
    removed = removals.count - known.removals.count
    return removals.index != known.removals.index or removed > MOST_REMOVED + len(known.by_file) // 2
