"""Bounded looks for runs that stand still, over the index of active runs."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.tables import RunRow
from models.runs import RunStatus


async def overdue(session: AsyncSession, before_ms: int, limit: int) -> Sequence[RunRow]:
    """Runs that have waited for a command's effect since before a time (milliseconds), the longest first."""
    query = select(RunRow).where(
        RunRow.status.in_([RunStatus.QUEUED, RunStatus.CANCELLING]), RunRow.status_changed_at < before_ms
    )
    return (await session.scalars(query.order_by(RunRow.status_changed_at).limit(limit))).all()


async def past_deadline(session: AsyncSession, before: int, limit: int) -> Sequence[RunRow]:
    """Runs in progress or waiting for outputs whose deadline passed before a time (seconds)."""
    query = select(RunRow).where(
        RunRow.status.in_([RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION]), RunRow.expires_at < before
    )
    return (await session.scalars(query.order_by(RunRow.status_changed_at).limit(limit))).all()
