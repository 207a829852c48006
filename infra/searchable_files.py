"""The files that searches of vector stores are of: found by SQL, and remembered until the store's files change."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable

from sqlalchemy import Connection

from infra.database import vector_store_files
from infra.database.columns import AnyRow
from models.search_index import FileSelection
from models.vector_store_search import Filter

MOST_FILES = 100_000
"""In all selections that are remembered: 20 MB."""

FILES_PER_SELECTION = 5
"""A selection itself takes as much memory as so many files."""


class SearchableFiles:
    """What a process remembers is compared with the row of the store each time, so that another's change counts."""

    def __init__(self, most_files: int = MOST_FILES) -> None:
        self._most_files = most_files
        self._known: OrderedDict[bytes, tuple[Hashable, FileSelection]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, connection: Connection, store: AnyRow, filters: Filter | None) -> FileSelection:
        """The completed files of a store that match a filter. `store` is its row, read by `connection` before."""
        key, version = _key(store, filters), _version(store)
        with self._lock:
            known_version, known = self._known.get(key, (None, None))
            if known is not None and known_version == version:
                self._known.move_to_end(key)
                return known
        files = vector_store_files.searchable(connection, store.id, filters)
        selection = FileSelection(files, len(files) / max(store.completed, 1))
        self._remember(key, version, selection)
        return selection

    def _remember(self, key: bytes, version: Hashable, selection: FileSelection) -> None:
        with self._lock:
            self._forget(key)
            self._known[key] = version, selection
            self._size += _size(selection)
            while self._size > self._most_files and len(self._known) > 1:
                self._forget(next(iter(self._known)))

    def _forget(self, key: bytes) -> None:
        _, known = self._known.pop(key, (None, None))
        self._size -= 0 if known is None else _size(known)


def _key(store: AnyRow, filters: Filter | None) -> bytes:
    # By its text: to Python a filter for 1 equals one for `true`. By a digest: a filter can be megabytes long.
    return hashlib.sha256(f"{store.id} {filters!r}".encode()).digest()


def _size(selection: FileSelection) -> int:
    return len(selection) + FILES_PER_SELECTION


def _version(store: AnyRow) -> Hashable:
    # A server of the previous version changes the numbers alone, while it still runs beside this one.
    return store.files_version, store.in_progress, store.completed, store.failed, store.cancelled, store.usage_bytes
