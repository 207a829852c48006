"""How many runs are under way, for those who watch over them. Bounded looks at the indexes of such runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import seconds_since
from infra.database.tables import AWAITS_COMMAND, IS_ACTIVE, RunRow
from models.runs import ACTIVE_STATUSES, RunStatus

MAX_COUNTED = 20_000


@dataclass(frozen=True)
class ActiveRuns:
    """`active` counts up to `MAX_COUNTED` runs, every active status among its keys.

    `oldest_command_seconds` is how long the longest-waiting run has waited for a worker to take it up, or to end it
    once it was cancelled.
    """

    active: Mapping[RunStatus, int]
    oldest_command_seconds: float


async def load(session: AsyncSession) -> ActiveRuns:
    """The counts of all projects."""
    some = select(RunRow.status).where(IS_ACTIVE).limit(MAX_COUNTED).subquery()
    counted = await session.execute(select(some.c.status, func.count()).group_by(some.c.status))
    active = dict.fromkeys(sorted(ACTIVE_STATUSES), 0) | {RunStatus(status): count for status, count in counted}
    oldest = await session.scalar(select(func.min(RunRow.status_changed_at)).where(AWAITS_COMMAND))
    return ActiveRuns(active, 0 if oldest is None else seconds_since(oldest))
