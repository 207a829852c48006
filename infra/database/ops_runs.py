"""Reads of runs for operators: found by what went wrong, and shown with what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, SQLColumnExpression, bindparam, literal_column, select, tuple_

from infra.database.pages import load_page
from infra.database.runs import NOUN
from infra.database.tables import RUN_RETRIES, RUNS, TOOL_CALLS, TURNS, AnyRow
from models.errors import NotFound
from models.lists import PageRequest
from models.runs import LastErrorCode, RunStatus

FEW = 1000
"""So many runs are looked up by their time, to spare a page the walk through all others."""


@dataclass(frozen=True)
class RunFilter:
    """What a run has to be to be listed; None: anything. A run that has an error has failed.

    `since` is in seconds since the epoch: where failed runs are asked for, they failed since then; others were created.
    """

    status: RunStatus | None = None
    assistant_id: str | None = None
    thread_id: str | None = None
    error: LastErrorCode | None = None
    since: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {RUNS.c.status: self._status, RUNS.c.assistant_id: self.assistant_id, RUNS.c.thread_id: self.thread_id}
        found = [column == value for column, value in equal.items() if value is not None]
        if self.error is not None:
            found.append(RUNS.c.last_error["code"].as_string() == self.error)
        if self.since is not None:
            # A sum is in no index on the time: where many match, SQLite would sort them all for a page.
            found.append(self.time + literal_column("0") >= self.since)
        return found

    @property
    def time(self) -> SQLColumnExpression[int | None]:
        """What `since` is about."""
        return RUNS.c.failed_at if self._status is RunStatus.FAILED else RUNS.c.created_at

    @property
    def _status(self) -> RunStatus | None:
        return RunStatus.FAILED if self.status is None and self.error else self.status


@dataclass(frozen=True)
class FoundRun:
    """A run, and how it was last taken up again."""

    run: AnyRow
    retry: AnyRow | None


@dataclass(frozen=True)
class CallMade:
    """A tool call without what was said in it."""

    id: str
    name: str
    is_answered: bool


@dataclass(frozen=True)
class RunRecord:
    """All that the database knows of what a run did, each in its order, the calls by turn."""

    found: FoundRun
    turns: Sequence[AnyRow]
    calls: Mapping[int, Sequence[CallMade]]
    retries: Sequence[AnyRow]


_LOAD = select(RUNS).where(RUNS.c.id == bindparam("run"))
_TURNS = select(TURNS).where(TURNS.c.run_id == bindparam("run")).order_by(TURNS.c.turn)
_RETRIES = select(RUN_RETRIES).where(RUN_RETRIES.c.run_id == bindparam("run")).order_by(RUN_RETRIES.c.number)
# Not the rows: arguments and outputs can be large, and are not shown.
_CALLS = (
    select(TOOL_CALLS.c.turn, TOOL_CALLS.c.id, TOOL_CALLS.c.name, TOOL_CALLS.c.output.is_not(None).label("is_answered"))
    .where(TOOL_CALLS.c.run_id == bindparam("run"))
    .order_by(TOOL_CALLS.c.turn, TOOL_CALLS.c.position)
)
_NEWEST_RETRIES = select(RUN_RETRIES).where(
    tuple_(RUN_RETRIES.c.run_id, RUN_RETRIES.c.number).in_(bindparam("newest", expanding=True))
)


def list_page(
    connection: Connection, project_id: str | None, page: PageRequest, wanted: RunFilter
) -> tuple[list[FoundRun], bool]:
    """The runs that are `wanted`, of a project or of all, and whether more follow.

    Raises `NotFound` for an unknown cursor.
    """
    # A run that was retried since the page before is no longer wanted, and still a place to go on from.
    scope = {} if project_id is None else {"project_id": project_id}
    project = [] if project_id is None else [RUNS.c.project_id == project_id]
    only = [*wanted.conditions(), *_bounds(connection, project, wanted)]
    rows, has_more = load_page(connection, RUNS, NOUN, page, scope, only=only)
    return _with_retries(connection, rows), has_more


def load(connection: Connection, project_id: str | None, run_id: str) -> FoundRun:
    """A run of a project, or of any. Raises `NotFound`."""
    row = connection.execute(_LOAD, {"run": run_id}).one_or_none()
    if row is None or project_id not in (None, row.project_id):
        raise NotFound.of(NOUN, run_id)
    return _with_retries(connection, [row])[0]


def record(connection: Connection, project_id: str | None, run_id: str) -> RunRecord:
    """Raises `NotFound`."""
    found = load(connection, project_id, run_id)
    this = {"run": run_id}
    by_turn = groupby(connection.execute(_CALLS, this), key=lambda call: call.turn)
    calls = {turn: [CallMade(call.id, call.name, call.is_answered) for call in calls] for turn, calls in by_turn}
    return RunRecord(found, connection.execute(_TURNS, this).all(), calls, connection.execute(_RETRIES, this).all())


def _bounds(
    connection: Connection, project: Sequence[ColumnElement[bool]], wanted: RunFilter
) -> list[ColumnElement[bool]]:
    # Where few runs are new enough, only the part of the list that has them is read. Where many are, a page soon fills.
    if wanted.since is None:
        return []
    since = select(RUNS.c.seq).where(*project, wanted.time >= wanted.since).order_by(wanted.time).limit(FEW + 1)
    places = connection.scalars(since).all()
    if len(places) > FEW:
        return []
    # Nothing is between the bounds of none.
    return [RUNS.c.seq.between(min(places, default=1), max(places, default=0))]


def _with_retries(connection: Connection, rows: Sequence[AnyRow]) -> list[FoundRun]:
    newest = [(row.id, row.retries) for row in rows if row.retries]
    found = connection.execute(_NEWEST_RETRIES, {"newest": newest}) if newest else ()
    retries: dict[str, AnyRow] = {retry.run_id: retry for retry in found}
    return [FoundRun(row, retries.get(row.id)) for row in rows]
