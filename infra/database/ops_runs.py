"""Reads of runs for operators: found by what went wrong, and shown with what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, SQLColumnExpression, literal_column, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.pages import load_page
from infra.database.runs import NOUN
from infra.database.tables import RunRetryRow, RunRow, ToolCallRow, TurnRow
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
        equal = {RunRow.status: self._status, RunRow.assistant_id: self.assistant_id, RunRow.thread_id: self.thread_id}
        found = [column == value for column, value in equal.items() if value is not None]
        if self.error is not None:
            found.append(RunRow.last_error["code"].as_string() == self.error)
        if self.since is not None:
            # A sum is in no index on the time: where many match, SQLite would sort them all for a page.
            found.append(self.time + literal_column("0") >= self.since)
        return found

    @property
    def time(self) -> SQLColumnExpression[int | None]:
        """What `since` is about."""
        return RunRow.failed_at if self._status is RunStatus.FAILED else RunRow.created_at

    @property
    def _status(self) -> RunStatus | None:
        return RunStatus.FAILED if self.status is None and self.error else self.status


@dataclass(frozen=True)
class FoundRun:
    """A run, and how it was last taken up again."""

    run: RunRow
    retry: RunRetryRow | None


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
    turns: Sequence[TurnRow]
    calls: Mapping[int, Sequence[CallMade]]
    retries: Sequence[RunRetryRow]


async def list_page(
    session: AsyncSession, project_id: str | None, page: PageRequest, wanted: RunFilter
) -> tuple[list[FoundRun], bool]:
    """The runs of the project, or of all where it is None, that are `wanted`, and whether more follow.

    Raises `NotFound` for an unknown cursor.
    """
    # A run that was retried since the page before is no longer wanted, and still a place to go on from.
    project = _of(project_id)
    only = [*wanted.conditions(), *await _bounds(session, project, wanted)]
    rows, has_more = await load_page(session, RunRow, NOUN, page, project, only=only)
    return await _with_retries(session, rows), has_more


async def load(session: AsyncSession, project_id: str | None, run_id: str) -> FoundRun:
    """A run of the project, or of any where it is None. Raises `NotFound`."""
    row = await session.scalar(select(RunRow).where(RunRow.id == run_id, _of(project_id)))
    if row is None:
        raise NotFound.of(NOUN, run_id)
    return (await _with_retries(session, [row]))[0]


async def record(session: AsyncSession, project_id: str | None, run_id: str) -> RunRecord:
    """Raises `NotFound`."""
    found = await load(session, project_id, run_id)
    turns = select(TurnRow).where(TurnRow.run_id == run_id).order_by(TurnRow.turn)
    retries = select(RunRetryRow).where(RunRetryRow.run_id == run_id).order_by(RunRetryRow.number)
    return RunRecord(
        found,
        (await session.scalars(turns)).all(),
        await _calls(session, run_id),
        (await session.scalars(retries)).all(),
    )


def _of(project_id: str | None) -> ColumnElement[bool]:
    return true() if project_id is None else RunRow.project_id == project_id


async def _bounds(session: AsyncSession, project: ColumnElement[bool], wanted: RunFilter) -> list[ColumnElement[bool]]:
    # Where few runs are new enough, only the part of the list that has them is read. Where many are, a page soon fills.
    if wanted.since is None:
        return []
    since = select(RunRow.seq).where(project, wanted.time >= wanted.since).order_by(wanted.time).limit(FEW + 1)
    places = (await session.scalars(since)).all()
    if len(places) > FEW:
        return []
    # Nothing is between the bounds of none.
    return [RunRow.seq.between(min(places, default=1), max(places, default=0))]


async def _calls(session: AsyncSession, run_id: str) -> dict[int, list[CallMade]]:
    # Not the rows: arguments and outputs can be large, and are not shown.
    is_answered = ToolCallRow.output.is_not(None).label("is_answered")
    query = (
        select(ToolCallRow.turn, ToolCallRow.id, ToolCallRow.name, is_answered)
        .where(ToolCallRow.run_id == run_id)
        .order_by(ToolCallRow.turn, ToolCallRow.position)
    )
    by_turn = groupby(await session.execute(query), key=lambda call: call.turn)
    return {turn: [CallMade(call.id, call.name, call.is_answered) for call in calls] for turn, calls in by_turn}


async def _with_retries(session: AsyncSession, rows: Sequence[RunRow]) -> list[FoundRun]:
    newest = [(row.id, row.retries) for row in rows if row.retries]
    retries: dict[str, RunRetryRow] = {}
    if newest:
        query = select(RunRetryRow).where(tuple_(RunRetryRow.run_id, RunRetryRow.number).in_(newest))
        retries = {retry.run_id: retry for retry in await session.scalars(query)}
    return [FoundRun(row, retries.get(row.id)) for row in rows]
