"""Bounded reads of stalled runs, each over an index of only the runs that it may find."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from infra.database.columns import AnyRow
from infra.database.run_tables import AWAITS_COMMAND, HAS_DEADLINE, IS_ACTIVE, RUNS
from models.runs import RunStatus

_MOST: BindParameter[Any] = bindparam("most")
_SINCE = RUNS.c.status_changed_at
_OVERDUE = (
    select(RUNS)
    .where(AWAITS_COMMAND, bindparam("from_ms") <= _SINCE, bindparam("before_ms") > _SINCE)
    .order_by(_SINCE)
    .limit(_MOST)
)
_PAST_DEADLINE = (
    select(RUNS).where(HAS_DEADLINE, RUNS.c.expires_at < bindparam("before")).order_by(RUNS.c.expires_at).limit(_MOST)
)
_ACTIVE_AMONG = select(RUNS).where(
    RUNS.c.id.in_(bindparam("ids", expanding=True)), IS_ACTIVE, RUNS.c.status != RunStatus.QUEUED.value
)


def overdue(connection: Connection, from_ms: int, before_ms: int, limit: int) -> Sequence[AnyRow]:
    """Runs that have waited for a command's effect since a time between two (milliseconds), the longest first."""
    return connection.execute(_OVERDUE, {"from_ms": from_ms, "before_ms": before_ms, "most": limit}).all()


def past_deadline(connection: Connection, before: int, limit: int) -> Sequence[AnyRow]:
    """Runs without a pending command whose deadline passed before a time (seconds), the longest past first."""
    return connection.execute(_PAST_DEADLINE, {"before": before, "most": limit}).all()


def active_among(connection: Connection, run_ids: Sequence[str]) -> Sequence[AnyRow]:
    """Those of `run_ids` that have not ended. A queued run is excluded: its command may be in transit."""
    return connection.execute(_ACTIVE_AMONG, {"ids": list(run_ids)}).all() if run_ids else []
