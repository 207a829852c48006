"""Remembers for a day what was answered to requests with an idempotency key."""

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_seconds
from infra.database.tables import IdempotencyKeyRow
from models.errors import IdempotencyKeyReused

KEPT_FOR = timedelta(hours=24)
# More than the one that each request adds, so that what has aged goes away for good.
FORGOTTEN_AT_A_TIME = 10


async def answered(session: AsyncSession, project_id: str, key: str, fingerprint: str) -> str | None:
    """What was answered to this request before, as JSON. None: this is the first time, and the key is taken for it.

    A request with the same key that is under way is waited for. Raises `IdempotencyKeyReused` where the key belongs to
    a different request.
    """
    await _forget_aged(session, project_id, key)
    try:
        async with session.begin_nested():
            session.add(
                IdempotencyKeyRow(
                    project_id=project_id, key=key, fingerprint=fingerprint, answer="", created_at=now_seconds()
                )
            )
    except IntegrityError:
        row = await session.get_one(IdempotencyKeyRow, (project_id, key))
        if row.fingerprint != fingerprint:
            raise IdempotencyKeyReused(key) from None
        return row.answer
    return None


async def remember(session: AsyncSession, project_id: str, key: str, answer: str) -> None:
    """Store the answer of the request that took the key, in the transaction that earned it."""
    row = (IdempotencyKeyRow.project_id == project_id, IdempotencyKeyRow.key == key)
    await session.execute(update(IdempotencyKeyRow).where(*row).values(answer=answer))


async def _forget_aged(session: AsyncSession, project_id: str, key: str) -> None:
    aged = IdempotencyKeyRow.created_at < now_seconds() - int(KEPT_FOR.total_seconds())
    this = (IdempotencyKeyRow.project_id == project_id, IdempotencyKeyRow.key == key)
    oldest = (
        select(IdempotencyKeyRow.project_id, IdempotencyKeyRow.key)
        .where(aged)
        .order_by(IdempotencyKeyRow.created_at)
        .limit(FORGOTTEN_AT_A_TIME)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(IdempotencyKeyRow).where(aged, *this))
    found = [tuple(row) for row in await session.execute(oldest)]
    for project, old_key in found:
        await session.execute(
            delete(IdempotencyKeyRow).where(IdempotencyKeyRow.project_id == project, IdempotencyKeyRow.key == old_key)
        )
