"""Attributes of files in vector stores: in the file's row, as clients see them, and by pairs, as filters find them."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, update

from infra.database.attribute_filters import attribute_row
from infra.database.columns import AnyRow
from infra.database.file_counts import count, next_version
from infra.database.vector_store_tables import VECTOR_STORE_FILE_ATTRIBUTES, VECTOR_STORE_FILES

_F = VECTOR_STORE_FILES
_SET = (
    update(_F)
    .where(_F.c.seq == bindparam("of_seq"))
    .values(attributes=bindparam("new_attributes"), files_version=bindparam("new_version"))
    .returning(_F)
)
_UNINDEX = delete(VECTOR_STORE_FILE_ATTRIBUTES).where(VECTOR_STORE_FILE_ATTRIBUTES.c.file_seq == bindparam("of_seq"))
_INDEX = insert(VECTOR_STORE_FILE_ATTRIBUTES)


def replace(connection: Connection, store: AnyRow, row: AnyRow, attributes: dict[str, Any]) -> AnyRow:
    """Give a file others; `store` is the row of its store, which is locked. Returns its row."""
    count(connection, store.id, {})
    unindex(connection, row)
    _insert(connection, [attribute_row(row, key, value) for key, value in attributes.items()])
    changes = {"of_seq": row.seq, "new_attributes": attributes, "new_version": next_version(store)}
    return connection.execute(_SET, changes).one()


def unindex(connection: Connection, row: AnyRow) -> None:
    """Remove the pairs of a file."""
    connection.execute(_UNINDEX, {"of_seq": row.seq})


def index(connection: Connection, new: Iterable[tuple[AnyRow, dict[str, Any] | None]]) -> None:
    """Add the pairs of files that were added."""
    pairs = [attribute_row(row, key, value) for row, given in new for key, value in (given or {}).items()]
    _insert(connection, pairs)


def _insert(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    if rows:
        connection.execute(_INDEX, list(rows))
