"""How many messages each thread holds: a number on its row, kept in the transactions that add and delete them."""

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.tables import ThreadRow
from models.errors import ThreadFull
from models.threads import MAX_THREAD_MESSAGES


async def make_room(session: AsyncSession, thread_id: str, number: int) -> int:
    """Count messages that are about to be added. Returns how many there are then. Raises `ThreadFull`."""
    has_room = ThreadRow.message_count + number <= MAX_THREAD_MESSAGES
    count = await _change(session, thread_id, number, has_room)
    if count is None:
        raise ThreadFull(MAX_THREAD_MESSAGES)
    return count


async def count_answer(session: AsyncSession, thread_id: str) -> None:
    """Count an assistant's message. There is always room for it: no run is to fail at its end."""
    await _change(session, thread_id, 1)


async def count_deletion(session: AsyncSession, thread_id: str) -> None:
    await _change(session, thread_id, -1)


async def _change(session: AsyncSession, thread_id: str, by: int, *guards: ColumnElement[bool]) -> int | None:
    # Relative, so that it is right whatever other transactions count meanwhile.
    return await session.scalar(
        update(ThreadRow)
        .where(ThreadRow.id == thread_id, *guards)
        .values(message_count=ThreadRow.message_count + by)
        .returning(ThreadRow.message_count)
        .execution_options(synchronize_session=False)
    )
