"""The numbers of active runs, for metrics. Bounded reads of the indexes of such runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from infra.clock import seconds_since
from infra.database.run_tables import AWAITS_COMMAND, IS_ACTIVE, RUNS
from models.runs import ACTIVE_STATUSES, RunStatus

MAX_COUNTED = 20_000


@dataclass(frozen=True)
class ActiveRuns:
    """`active` counts up to `MAX_COUNTED` runs; its keys are all active statuses.

    `oldest_command_seconds` is the longest time that a run has waited for a worker to start or resume it, or to end it
    after a cancel.
    """

    active: Mapping[RunStatus, int]
    oldest_command_seconds: float


_SOME = select(RUNS.c.status).where(IS_ACTIVE).limit(MAX_COUNTED).subquery()
_COUNTS = select(_SOME.c.status, func.count().label("runs")).group_by(_SOME.c.status)
_OLDEST = select(func.min(RUNS.c.status_changed_at)).where(AWAITS_COMMAND)


def load(connection: Connection) -> ActiveRuns:
    """The numbers for all projects."""
    counted = {RunStatus(row.status): row.runs for row in connection.execute(_COUNTS)}
    oldest = connection.scalar(_OLDEST)
    active = dict.fromkeys(sorted(ACTIVE_STATUSES), 0) | counted
    return ActiveRuns(active, 0 if oldest is None else seconds_since(oldest))
