"""Bounded looks for runs that stand still, each over an index of just the runs it may find."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.tables import AWAITS_COMMAND, HAS_DEADLINE, IS_ACTIVE, RunRow
from models.runs import RunStatus


async def overdue(session: AsyncSession, from_ms: int, before_ms: int, limit: int) -> Sequence[RunRow]:
    """Runs that have waited for a command's effect since a time between two (milliseconds), the longest first."""
    since = RunRow.status_changed_at
    query = select(RunRow).where(AWAITS_COMMAND, since >= from_ms, since < before_ms)
    return (await session.scalars(query.order_by(RunRow.status_changed_at).limit(limit))).all()


async def past_deadline(session: AsyncSession, before: int, limit: int) -> Sequence[RunRow]:
    """Runs that no command is due to, and whose deadline passed before a time (seconds), the longest past first."""
    query = select(RunRow).where(HAS_DEADLINE, RunRow.expires_at < before)
    return (await session.scalars(query.order_by(RunRow.expires_at).limit(limit))).all()


async def active_among(session: AsyncSession, run_ids: Sequence[str]) -> Sequence[RunRow]:
    """Those of a page of runs that have not ended. A queued one is left out: its command may be on its way."""
    active = (RunRow.id.in_(run_ids), IS_ACTIVE, RunRow.status != RunStatus.QUEUED)
    return (await session.scalars(select(RunRow).where(*active))).all()
