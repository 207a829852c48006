"""The workers that live: each gives a life sign every second, and a gone one is taken over by one other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, false, not_, null, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as insert_on_postgres
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite

from infra.database.columns import AnyRow
from infra.database.connections import POSTGRES, SQLITE
from infra.database.worker_tables import WORKERS
from infra.processes import ProcessIdentity

_W = WORKERS


def _life_sign(insert: Any) -> Any:
    # Machine and process stay: they are the worker's for life.
    lives = {"life_signs": insert.excluded.life_signs, "is_gone": false(), "taken_over_by": null()}
    return insert.on_conflict_do_update(index_elements=[_W.c.id], set_=lives)


_GIVE_LIFE_SIGN = {SQLITE: _life_sign(insert_on_sqlite(_W)), POSTGRES: _life_sign(insert_on_postgres(_W))}
_REMOVE = delete(_W).where(_W.c.id == bindparam("worker"))
_OTHERS = select(_W).where(_W.c.id != bindparam("worker")).order_by(_W.c.id)
_UNCHANGED = and_(_W.c.id == bindparam("gone"), _W.c.life_signs == bindparam("seen"))
_CLAIM = (
    update(_W)
    .where(
        _UNCHANGED,
        or_(
            _W.c.taken_over_by.is_(None),
            _W.c.taken_over_by == bindparam("claimant"),
            # The worker that took it over has been taken over itself.
            not_(_W.c.taken_over_by.in_(select(_W.alias("claimants").c.id))),
            # Or will be: its row stays for as long as what it held is looked for.
            _W.c.taken_over_by.in_(bindparam("all_gone", expanding=True)),
        ),
    )
    .values(taken_over_by=bindparam("claimant"))
)
_FORGET = delete(_W).where(_UNCHANGED, _W.c.taken_over_by == bindparam("claimant"))
_ALL_GONE = update(_W).values(is_gone=true())


@dataclass(frozen=True)
class SeenWorker:
    """A worker as its row shows it. `life_signs` only grows while it lives."""

    id: str
    process: ProcessIdentity
    life_signs: int
    is_gone: bool


def give_life_sign(connection: Connection, worker: str, process: ProcessIdentity, life_signs: int) -> None:
    """Show that the worker lives. A worker that was taken for gone is back."""
    row = {"machine": process.machine, "pid": process.pid, "process_started": process.started}
    connection.execute(_GIVE_LIFE_SIGN[connection.dialect.name], {"id": worker, "life_signs": life_signs, **row})


def remove(connection: Connection, worker: str) -> None:
    """Remove a worker that has stopped, and holds nothing any more."""
    connection.execute(_REMOVE, {"worker": worker})


def others(connection: Connection, worker: str) -> Sequence[SeenWorker]:
    return [_seen(row) for row in connection.execute(_OTHERS, {"worker": worker})]


def claim(connection: Connection, gone: SeenWorker, claimant: str, all_gone: Sequence[str] = ()) -> bool:
    """Let one worker take over the activities of a gone one. False where another does, or the worker lives.

    `all_gone` are those that the claimant sees as gone: none of them takes over anything any more.
    """
    claimed = {"gone": gone.id, "seen": gone.life_signs, "claimant": claimant, "all_gone": list(all_gone)}
    return connection.execute(_CLAIM, claimed).rowcount == 1


def forget(connection: Connection, gone: SeenWorker, claimant: str) -> None:
    """Remove a worker whose activities were taken over."""
    connection.execute(_FORGET, {"gone": gone.id, "seen": gone.life_signs, "claimant": claimant})


def declare_all_gone(connection: Connection) -> None:
    """For a process that knows that no worker of this database lives."""
    connection.execute(_ALL_GONE)


def _seen(row: AnyRow) -> SeenWorker:
    process = ProcessIdentity(row.machine, row.pid, row.process_started)
    return SeenWorker(row.id, process, row.life_signs, row.is_gone)
