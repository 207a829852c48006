"""Lists by keyset: a cursor is looked up once, and a page reads no more rows than it returns plus one.

Where it is narrowed by `only`, it passes over the rows that are left out.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database import deleted_items
from infra.database.tables import AssistantRow, MessageRow, RunRow, RunStepRow, ThreadRow
from models.errors import NotFound
from models.lists import Order, PageRequest

Scope = tuple[ColumnElement[bool], ...]
ListedRow = TypeVar("ListedRow", AssistantRow, ThreadRow, MessageRow, RunRow, RunStepRow)


async def load_page(
    session: AsyncSession,
    table: type[ListedRow],
    noun: str,
    page: PageRequest,
    *scope: ColumnElement[bool],
    deleted: Scope = (),
    order_by: Any = None,
    only: Sequence[ColumnElement[bool]] = (),
) -> tuple[Sequence[ListedRow], bool]:
    """The rows of `table` in `scope` that `page` asks for, in its order, and whether more follow in its direction.

    `deleted` is the same scope among the deleted items, where single items can be deleted from the list. `order_by` is
    the column that equals `seq` in an index that finds the scope. `only` narrows the page but not
    what is a cursor: a row may cease to match while a client lists. Raises `NotFound` where a cursor names nothing.
    """
    position: Any = table.seq if order_by is None else order_by

    async def place(cursor: str) -> int:
        seq = await session.scalar(select(table.seq).where(table.id == cursor, *scope))
        if seq is None and deleted:
            seq = await deleted_items.seq_of(session, cursor, *deleted)
        if seq is None:
            raise NotFound.of(noun, cursor)
        return seq

    bounds = [*scope, *only]
    ascending = page.order is Order.ASC
    if page.after is not None:
        seq = await place(page.after)
        bounds.append(position > seq if ascending else position < seq)
    if page.before is not None:
        seq = await place(page.before)
        bounds.append(position < seq if ascending else position > seq)
    # Only `before`: read backwards from the cursor, so that the page is the nearest one, then turn it round.
    backwards = page.before is not None and page.after is None
    order = position.asc() if ascending != backwards else position.desc()
    found = (await session.scalars(select(table).where(*bounds).order_by(order).limit(page.limit + 1))).all()
    rows = found[: page.limit]
    return (rows[::-1] if backwards else rows), len(found) > page.limit
