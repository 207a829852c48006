"""The files that searches of vector stores are of: found by SQL, and remembered. Later, those that changed are read."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from infra.database import changed_files, vector_store_files
from infra.database.changed_files import MOST_CHANGES
from infra.database.columns import AnyRow
from infra.database.file_counts import unrecorded_versions
from models.search_index import DifferingFiles, FileSelection, IndexedFile
from models.vector_store_search import Filter

MOST_FILES = 100_000
"""In all selections that are remembered: 25 MB."""

FILES_PER_SELECTION = 5
"""A selection itself takes as much memory as so many files."""


@dataclass(frozen=True, slots=True)
class _Version:
    number: int
    unrecorded: int

    @classmethod
    def of(cls, store: AnyRow) -> "_Version":
        return cls(store.files_version, unrecorded_versions(store))


@dataclass(frozen=True, slots=True)
class _Known:
    """What matches a filter at a version of a store: what did when all was read, but for those that `changed` since.

    None: it does not match any more. Searches may be at it: what changes is made anew.
    """

    version: _Version
    selection: FileSelection
    base: FileSelection
    base_by_id: Mapping[str, IndexedFile]
    changed: Mapping[str, IndexedFile | None]

    @property
    def size(self) -> int:
        return len(self.base) + len(self.changed) + FILES_PER_SELECTION


class SearchableFiles:
    """What a process remembers is compared with the row of the store each time, so that another's change counts."""

    def __init__(self, most_files: int = MOST_FILES) -> None:
        self._most_files = most_files
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, connection: Connection, store: AnyRow, filters: Filter | None) -> FileSelection:
        """The completed files of a store that match a filter. `store` is its row, read by `connection` before."""
        key, version = _key(store, filters), _Version.of(store)
        with self._lock:
            known = self._known.get(key)
            if known is not None and known.version == version:
                self._known.move_to_end(key)
                return known.selection
        changed = known and _with_changes(connection, store, filters, known, version)
        new = changed or _read(connection, store, filters, version)
        self._remember(key, new)
        return new.selection

    def _remember(self, key: bytes, known: _Known) -> None:
        with self._lock:
            self._forget(key)
            self._known[key] = known
            self._size += known.size
            while self._size > self._most_files and len(self._known) > 1:
                self._forget(next(iter(self._known)))

    def _forget(self, key: bytes) -> None:
        known = self._known.pop(key, None)
        self._size -= 0 if known is None else known.size


def _key(store: AnyRow, filters: Filter | None) -> bytes:
    # By its text: to Python a filter for 1 equals one for `true`. By a digest: a filter can be megabytes long.
    return hashlib.sha256(f"{store.id} {filters!r}".encode()).digest()


def _read(connection: Connection, store: AnyRow, filters: Filter | None, version: _Version) -> _Known:
    files = vector_store_files.searchable(connection, store.id, filters)
    selection = FileSelection(files, _share(files, store))
    return _Known(version, selection, selection, {file.id: file for file in files}, {})


def _with_changes(
    connection: Connection, store: AnyRow, filters: Filter | None, known: _Known, version: _Version
) -> _Known | None:
    """None: too much changed, or a server of the previous version, which does not say what, changed something."""
    if known.version.unrecorded != version.unrecorded:
        return None
    changes = changed_files.since(connection, store, known.version.number, filters)
    if changes is None:
        return None
    base = known.base_by_id
    changed = {id_: file for id_, file in {**known.changed, **changes}.items() if file != base.get(id_)}
    if len(changed) > MOST_CHANGES:
        return None
    # Of what was read as a whole, not of what is known: so there is never a chain of selections.
    files = DifferingFiles(
        known.base,
        lacks=frozenset(base[id_] for id_ in changed if id_ in base),
        adds=frozenset(file for file in changed.values() if file is not None),
    )
    share = _share(files, store)
    if changed == known.changed and share == known.selection.share:
        return replace(known, version=version)
    return replace(known, version=version, selection=FileSelection(files, share), changed=changed)


def _share(files: Collection[IndexedFile], store: AnyRow) -> float:
    return len(files) / max(int(store.completed), 1)
