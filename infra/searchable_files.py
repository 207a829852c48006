"""The files that searches of vector stores are of: found by SQL, and remembered until the store's files change."""

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


class SearchableFiles:
    """What a process remembers is compared with the row of the store each time, so that another's change counts."""

    def __init__(self, most_files: int = MOST_FILES) -> None:
        self._most_files = most_files
        self._known: OrderedDict[tuple[str, str], tuple[Hashable, FileSelection]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, connection: Connection, store: AnyRow, filters: Filter | None) -> FileSelection:
        """The completed files of a store that match a filter. `store` is its row, read by `connection` before."""
        # To Python a filter for 1 equals one for `true`.
        key, version = (store.id, repr(filters)), _version(store)
        with self._lock:
            known_version, known = self._known.get(key, (None, None))
            if known and known_version == version:
                self._known.move_to_end(key)
                return known
        files = vector_store_files.searchable(connection, store.id, filters)
        selection = FileSelection(files, len(files) / max(store.completed, 1))
        self._remember(key, version, selection)
        return selection

    def _remember(self, key: tuple[str, str], version: Hashable, selection: FileSelection) -> None:
        with self._lock:
            self._known[key] = version, selection
            self._known.move_to_end(key)
            # An empty selection takes memory as well.
            while len(self._known) > 1 and sum(len(each) + 1 for _, each in self._known.values()) > self._most_files:
                self._known.popitem(last=False)


def _version(store: AnyRow) -> Hashable:
    # A server of the previous version changes the numbers alone, while it still runs beside this one.
    return store.files_version, store.in_progress, store.completed, store.failed, store.cancelled, store.usage_bytes
