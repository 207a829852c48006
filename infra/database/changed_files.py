"""Which files of a vector store changed since a version of it: for those who remember its files of that version.

Files that are there have the version of their last change. Of those that were removed, the latest are remembered.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, and_, bindparam, delete, insert, select

from infra.database.attribute_filters import condition
from infra.database.columns import AnyRow
from infra.database.file_counts import next_version
from infra.database.vector_store_tables import REMOVED_STORE_FILES, VECTOR_STORE_FILES
from models.search_index import IndexedFile
from models.vector_store_search import Filter
from models.vector_stores import StoreFileStatus

MOST_CHANGES = 500
"""Of more versions or files, all files are read: that costs little more, and so much is remembered of removed ones."""

_F, _R = VECTOR_STORE_FILES, REMOVED_STORE_FILES
_STORE: BindParameter[Any] = bindparam("store")
_VERSION: BindParameter[Any] = bindparam("version")
_IS_COMPLETED = _F.c.status == StoreFileStatus.COMPLETED.value
_REMOVED = select(_R.c.id).where(_R.c.store_id == _STORE, _R.c.files_version > _VERSION)
_REMEMBER_REMOVED = insert(_R)
_FORGET_REMOVED = delete(_R).where(_R.c.store_id == _STORE, _R.c.files_version <= _VERSION)


def since(
    connection: Connection, store: AnyRow, version: int, filters: Filter | None
) -> Mapping[str, IndexedFile | None] | None:
    """The files that changed after a version, by id; with None each that was removed, is not completed or is no match.

    None: they may be many. `store` is its row, read by `connection` in the same snapshot.
    """
    if not 0 <= store.files_version - version <= MOST_CHANGES:
        return None
    about = {"store": store.id, "version": version}
    rows = connection.execute(_changed(filters), about).all()
    if len(rows) > MOST_CHANGES:
        return None
    # One that was removed may have been added again.
    changed: dict[str, IndexedFile | None] = dict.fromkeys(connection.scalars(_REMOVED, about))
    for file_id, generation, is_found in rows:
        changed[file_id] = IndexedFile(file_id, generation) if is_found else None
    return changed


def remember_removed(connection: Connection, store: AnyRow, file_id: str) -> None:
    """The file leaves the store by its next version; `store` is its locked row."""
    version = next_version(store)
    connection.execute(_FORGET_REMOVED, {"store": store.id, "version": version - MOST_CHANGES})
    row = {"store_id": store.id, "files_version": version, "id": file_id, "project_id": store.project_id}
    connection.execute(_REMEMBER_REMOVED, row)


def _changed(filters: Filter | None) -> Select[Any]:
    is_found: ColumnElement[bool] = _IS_COMPLETED
    if filters is not None:
        is_found = and_(is_found, condition(filters, of_few=True))
    return (
        select(_F.c.id, _F.c.generation, is_found)
        .where(_F.c.store_id == _STORE, _F.c.files_version > _VERSION)
        .limit(MOST_CHANGES + 1)
    )
