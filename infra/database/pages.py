"""Lists by keyset: a cursor is looked up once, and a page reads only the rows that it returns plus one.

A list that is filtered by `only` also reads the rows that the filter excludes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, TextClause, bindparam, select

from infra.database import deleted_items
from infra.database.columns import AnyRow
from models.errors import NotFound
from models.lists import Order, PageRequest

Scope = Mapping[str, object]
"""Values of columns that define a list."""


def load_page(
    connection: Connection,
    table: Table,
    noun: str,
    page: PageRequest,
    scope: Scope,
    *,
    deleted: Scope | None = None,
    deleted_as: Callable[[str], str] = str,
    order_by: ColumnElement[Any] | None = None,
    only: Sequence[ColumnElement[bool] | TextClause] = (),
    without: tuple[str, ...] = (),
    place_of: Callable[[str], int | None] | None = None,
) -> tuple[Sequence[AnyRow], bool]:
    """The rows of `table` in `scope` for `page`, in its order, and whether more follow in its direction.

    `deleted` is the same scope among the deleted items, for lists from which single items can be deleted; `deleted_as`
    makes the id that an object has there of its own. `order_by` is the column that equals `seq` in an index that finds
    the scope. `only` filters the page but not the cursors: a row may cease to match while a client lists. `without` are
    columns that are not loaded. `place_of` looks up cursors that are not the `id` of a row.

    Raises `NotFound` for an unknown cursor.
    """

    def place(cursor: str) -> int:
        seq: int | None
        if place_of is not None:
            seq = place_of(cursor)
        else:
            seq = connection.scalar(_place(table, tuple(scope)), {"cursor": cursor, **_named(scope)})
        if seq is None and deleted is not None:
            seq = deleted_items.seq_of(connection, deleted_as(cursor), deleted)
        if seq is None:
            raise NotFound.of(noun, cursor)
        return seq

    bounds = {name: place(cursor) for name, cursor in (("after", page.after), ("before", page.before)) if cursor}
    ascending = page.order is Order.ASC
    # Only `before`: read backwards from the cursor, so that the page is the nearest one, then reverse it.
    backwards = page.before is not None and page.after is None
    shape = (table, tuple(scope), tuple(bounds), ascending, backwards, without)
    query = _page(*shape) if order_by is None and not only else _build_page(*shape, order_by, only)
    found = connection.execute(query, {**_named(scope), **bounds, "page_size": page.limit + 1}).all()
    rows = found[: page.limit]
    return (rows[::-1] if backwards else rows), len(found) > page.limit


@cache
def _place(table: Table, scope: tuple[str, ...]) -> Select[Any]:
    return select(table.c.seq).where(table.c.id == bindparam("cursor"), *_in_scope(table, scope))


@cache
def _page(
    table: Table,
    scope: tuple[str, ...],
    bounds: tuple[str, ...],
    ascending: bool,
    backwards: bool,
    without: tuple[str, ...],
) -> Select[Any]:
    """Built once for each shape of a list."""
    return _build_page(table, scope, bounds, ascending, backwards, without)


def _build_page(
    table: Table,
    scope: tuple[str, ...],
    bounds: tuple[str, ...],
    ascending: bool,
    backwards: bool,
    without: tuple[str, ...],
    order_by: ColumnElement[Any] | None = None,
    only: Sequence[ColumnElement[bool] | TextClause] = (),
) -> Select[Any]:
    position = table.c.seq if order_by is None else order_by
    conditions: list[ColumnElement[bool] | TextClause] = [*_in_scope(table, scope), *only]
    for bound in bounds:
        is_above = ascending == (bound == "after")
        conditions.append(position > bindparam(bound) if is_above else position < bindparam(bound))
    order = position.asc() if ascending != backwards else position.desc()
    columns = [column for column in table.c if column.name not in without]
    return select(*columns).where(*conditions).order_by(order).limit(bindparam("page_size"))


def _in_scope(table: Table, scope: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(f"scope_{name}") for name in scope]


def _named(scope: Scope) -> dict[str, object]:
    return {f"scope_{name}": value for name, value in scope.items()}
