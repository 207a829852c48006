"""Which rows of an index's file are of the files that a search is of."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
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


@dataclass(frozen=True, eq=False)
class _FileRows:
    """The row of each file, and those of the selections that were searched."""

    removals: tuple[int, int]
    last: int
    by_file: Mapping[IndexedFile, int]
    # Not their masks: each has a byte for every row of the index, however few files are selected.
    selected: "WeakKeyDictionary[FileSelection, NDArray[np.int64]]" = field(default_factory=WeakKeyDictionary)

    def of(self, searched: FileSelection) -> "NDArray[np.int64]":
        import numpy as np

        known = self.selected.get(searched)
        if known is None:
            rows = (self.by_file.get(file, 0) for file in searched.files)
            known = self.selected[searched] = np.array([row for row in rows if row], dtype=np.int64)
        return known


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
            rows = _up_to_date(self._rows.get(path), path, connection)
            selected = rows.of(searched)
            self._remember(path, rows)
        return FileMask.of(selected, rows.last)

    def forget(self, path: Path) -> None:
        with self._lock:
            self._forget(path)

    def _remember(self, path: Path, rows: _FileRows) -> None:
        self._forget(path)
        self._rows[path] = rows
        self._count += len(rows.by_file)
        while self._count > self._most_rows and len(self._rows) > 1:
            self._forget(next(iter(self._rows)))

    def _forget(self, path: Path) -> None:
        if rows := self._rows.pop(path, None):
            self._count -= len(rows.by_file)


def _up_to_date(known: _FileRows | None, path: Path, connection: sqlite3.Connection) -> _FileRows:
    removals = removals_of(path, connection)
    if known is None or known.removals != removals:
        known = _FileRows(removals, 0, {})
    added = connection.execute("SELECT row, id, generation FROM file WHERE row > ? ORDER BY row", (known.last,))
    rows = {IndexedFile(file_id, generation): row for row, file_id, generation in added}
    if not rows:
        return known
    return _FileRows(removals, max(rows.values()), {**known.by_file, **rows})
