"""Remembers for a day where deleted objects stood in their lists, so that their ids remain good as cursors."""

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds
from infra.database.tables import DeletedItemRow

KEPT_FOR = timedelta(days=1)
# More than the one that each deletion adds, so that what has aged goes away for good.
FORGOTTEN_AT_A_TIME = 10


async def remember(session: AsyncSession, project_id: str, thread_id: str | None, object_id: str, seq: int) -> None:
    """Keep the place of a deleted object, a message's with its `thread_id`; forget some that were kept long enough."""
    now = now_seconds()
    aged = (
        select(DeletedItemRow.id)
        .where(DeletedItemRow.deleted_at < now - int(KEPT_FOR.total_seconds()))
        .order_by(DeletedItemRow.deleted_at)
        .limit(FORGOTTEN_AT_A_TIME)
        # Those that another deletion is forgetting are left to it.
        .with_for_update(skip_locked=True)
    )
    await session.execute(
        delete(DeletedItemRow).where(DeletedItemRow.id.in_(aged)).execution_options(synchronize_session=False)
    )
    session.add(DeletedItemRow(id=object_id, project_id=project_id, thread_id=thread_id, seq=seq, deleted_at=now))


async def seq_of(session: AsyncSession, object_id: str, *scope: ColumnElement[bool]) -> int | None:
    """Where an object stood that was deleted from the list in `scope`. None: it never did, or was forgotten."""
    return await session.scalar(select(DeletedItemRow.seq).where(DeletedItemRow.id == object_id, *scope))
