"""Reads of runs for operators: filtered by failures, with the course of each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, SQLColumnExpression, bindparam, literal_column, or_, select, tuple_

from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.run_tables import RUN_RETRIES, RUNS, TOOL_CALLS, TURNS
from infra.database.runs import NOUN
from models.errors import NotFound
from models.lists import PageRequest
from models.runs import LastErrorCode, RunStatus
from models.tool_calls import ToolKind

FEW = 1000
"""Up to so many runs are looked up by their time, which spares a page the scan of all others."""


@dataclass(frozen=True)
class RunFilter:
    """The conditions of a list of runs; None: no condition. A run with an error has failed.

    `since` is in seconds since the epoch, and means the time of failure if failed runs are asked for, otherwise that of
    creation.
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
            # An expression prevents the index on the time: if many runs match, SQLite would sort them all for one page.
            found.append(self.time + literal_column("0") >= self.since)
        return found

    @property
    def time(self) -> SQLColumnExpression[int | None]:
        """The time with which `since` is compared."""
        return RUNS.c.failed_at if self._status is RunStatus.FAILED else RUNS.c.created_at

    @property
    def _status(self) -> RunStatus | None:
        return RunStatus.FAILED if self.status is None and self.error else self.status


@dataclass(frozen=True)
class FoundRun:
    """A run and its last retry."""

    run: AnyRow
    retry: AnyRow | None


@dataclass(frozen=True)
class CallMade:
    """A tool call without its arguments and output. Times are in milliseconds since the epoch."""

    id: str
    name: str
    kind: ToolKind
    is_answered: bool
    attempt: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """The course of a run in the database, each part in its order, the calls by turn."""

    found: FoundRun
    turns: Sequence[AnyRow]
    calls: Mapping[int, Sequence[CallMade]]
    retries: Sequence[AnyRow]


_LOAD = select(RUNS).where(RUNS.c.id == bindparam("run"))
_TURNS = select(TURNS).where(TURNS.c.run_id == bindparam("run")).order_by(TURNS.c.turn)
_RETRIES = select(RUN_RETRIES).where(RUN_RETRIES.c.run_id == bindparam("run")).order_by(RUN_RETRIES.c.number)
# Not the whole rows: arguments and outputs can be large, and are not used.
_CALLS = (
    select(
        *(
            TOOL_CALLS.c[name]
            for name in ("turn", "id", "name", "type", "attempt", "started_at", "finished_at", "error")
        ),
        or_(TOOL_CALLS.c.output.is_not(None), TOOL_CALLS.c.result.is_not(None)).label("is_answered"),
    )
    .where(TOOL_CALLS.c.run_id == bindparam("run"))
    .order_by(TOOL_CALLS.c.turn, TOOL_CALLS.c.position)
)
_NEWEST_RETRIES = select(RUN_RETRIES).where(
    tuple_(RUN_RETRIES.c.run_id, RUN_RETRIES.c.number).in_(bindparam("newest", expanding=True))
)


def list_page(
    connection: Connection, project_id: str | None, page: PageRequest, wanted: RunFilter
) -> tuple[list[FoundRun], bool]:
    """The runs that match `wanted`, of a project or of all, and whether more follow.

    Raises `NotFound` for an unknown cursor.
    """
    # A run that was retried after the page before no longer matches, but remains a valid cursor.
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
    calls = {turn: list(map(_call, calls)) for turn, calls in by_turn}
    return RunRecord(found, connection.execute(_TURNS, this).all(), calls, connection.execute(_RETRIES, this).all())


def _call(row: AnyRow) -> CallMade:
    times = (row.attempt, row.started_at, row.finished_at)
    return CallMade(row.id, row.name, ToolKind(row.type), bool(row.is_answered), *times, row.error)


def _bounds(
    connection: Connection, project: Sequence[ColumnElement[bool]], wanted: RunFilter
) -> list[ColumnElement[bool]]:
    # If few runs are new enough, only their part of the list is read. If many are, a page fills soon.
    if wanted.since is None:
        return []
    since = select(RUNS.c.seq).where(*project, wanted.time >= wanted.since).order_by(wanted.time).limit(FEW + 1)
    places = connection.scalars(since).all()
    if len(places) > FEW:
        return []
    # Without any such run the range is empty.
    return [RUNS.c.seq.between(min(places, default=1), max(places, default=0))]


def _with_retries(connection: Connection, rows: Sequence[AnyRow]) -> list[FoundRun]:
    newest = [(row.id, row.retries) for row in rows if row.retries]
    found = connection.execute(_NEWEST_RETRIES, {"newest": newest}) if newest else ()
    retries: dict[str, AnyRow] = {retry.run_id: retry for retry in found}
    return [FoundRun(row, retries.get(row.id)) for row in rows]
