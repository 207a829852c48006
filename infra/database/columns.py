"""What tables are declared with: kinds of columns, partial indexes, and the metadata that has every table."""

from typing import Any, TypeAlias

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, Row, Text, TextClause
from sqlalchemy.types import TypeEngine

# SQLite numbers rows itself only in a column declared INTEGER PRIMARY KEY.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
OBJECT = JSON(none_as_null=True)
METADATA = MetaData()
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of a table, or of the columns that a statement selects; its columns are attributes."""


def partial(name: str, *columns: str, only: TextClause, unique: bool = False) -> Index:
    """An index that serves queries with the very condition `only`, not those with one of the same meaning."""
    return Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)


def seq() -> Column[Any]:
    return Column("seq", _SEQUENCE, primary_key=True)


def object_id() -> Column[Any]:
    return Column("id", Text, unique=True, nullable=False)


def key(name: str, kind: type[TypeEngine[Any]] = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] = Text, **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


def optional(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] = Text) -> Column[Any]:
    return Column(name, kind, nullable=True)


def counter(name: str) -> Column[Any]:
    return required(name, BigInteger, default=0, server_default="0")
