"""Units of work: threads, cancellation, waiting for a thread, and the reports of run transitions."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from infra.database import assistants, deleted_items, engine, runs, threads
from infra.database.connections import Limits
from infra.database.engine import Database, open_database
from infra.database.outages import DatabaseUnavailable
from infra.database.run_tables import RUNS
from infra.database.run_transitions import RunCreated, RunTransition
from infra.database.tables import DELETED_ITEMS
from models.assistants import CreateAssistantRequest
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, Run
from models.threads import CreateThreadRequest
from tests.conftest import NewDatabase
from tests.database import reading
from tests.infra.database.conftest import PROJECT

REQUEST_ID = ContextVar("REQUEST_ID", default="")


class Failed(Exception):
    pass


@pytest.fixture
async def one_writer(new_database: NewDatabase, tmp_path: Path) -> AsyncIterator[Database]:
    """A database with one thread that writes."""
    url = new_database() or f"sqlite:///{tmp_path}/holdfast.db"
    async with open_database(url, Limits(pool_size=1)) as opened:
        yield opened


@asynccontextmanager
async def occupied(database: Database) -> AsyncIterator[Callable[[], None]]:
    """A unit of work that occupies the one writer until the yielded function is called, or the block ends."""
    has_begun, may_end = threading.Event(), threading.Event()

    def occupy(_: Connection) -> None:
        has_begun.set()
        may_end.wait()

    occupying = asyncio.create_task(database.write(occupy))
    await asyncio.to_thread(has_begun.wait)
    try:
        yield may_end.set
    finally:
        may_end.set()
        await occupying


async def test_work_that_has_begun_commits_though_its_caller_is_cancelled(database: Database) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        remember(connection, "begun")
        has_begun.set()
        may_end.wait()

    caller = asyncio.create_task(database.write(work))
    await asyncio.to_thread(has_begun.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    stored_before = await database.read(is_remembered, "begun")
    may_end.set()

    assert not stored_before
    async with asyncio.timeout(10):
        while not await database.read(is_remembered, "begun"):
            pass


async def test_work_that_has_not_begun_is_not_run_where_its_caller_is_cancelled(one_writer: Database) -> None:
    ran: list[str] = []
    async with occupied(one_writer) as release:
        caller = asyncio.create_task(one_writer.write(lambda _: ran.append("cancelled")))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        release()

        await one_writer.write(lambda _: ran.append("next"))

    assert ran == ["next"]


async def test_work_that_waits_too_long_for_a_thread_is_an_outage_and_not_run(
    one_writer: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "QUEUE_TIMEOUT", timedelta(milliseconds=50))
    ran: list[str] = []
    async with occupied(one_writer) as release:
        with pytest.raises(DatabaseUnavailable) as unavailable:
            await one_writer.write(lambda _: ran.append("late"))
        release()
        monkeypatch.undo()

        await one_writer.write(lambda _: ran.append("next"))

    assert unavailable.value.reason == "no connection became free in 0.05 s"
    assert ran == ["next"]


async def test_work_that_has_begun_may_take_longer_than_the_wait_for_a_thread(
    one_writer: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "QUEUE_TIMEOUT", timedelta(milliseconds=50))
    timed_out = threading.Event()

    def work(_: Connection) -> str:
        timed_out.wait()
        return "done"

    caller = asyncio.create_task(one_writer.write(work))
    await asyncio.sleep(0)
    # After the timer of `caller`, which began before it.
    asyncio.get_running_loop().call_later(0.1, timed_out.set)

    assert await caller == "done"


async def test_a_caller_that_times_out_while_it_waits_for_a_thread_sees_its_own_timeout(one_writer: Database) -> None:
    async with occupied(one_writer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await one_writer.write(lambda _: None)


async def test_context_variables_reach_the_thread(database: Database) -> None:
    REQUEST_ID.set("req_1")

    def seen(_: Connection) -> tuple[str, bool]:
        return REQUEST_ID.get(), threading.current_thread() is threading.main_thread()

    assert await database.write(seen) == ("req_1", False)
    assert await database.read(seen) == ("req_1", False)


async def test_work_that_raises_is_rolled_back(database: Database) -> None:
    def work(connection: Connection) -> None:
        remember(connection, "rolled back")
        raise Failed

    with pytest.raises(Failed):
        await database.write(work)

    assert not await database.read(is_remembered, "rolled back")


async def test_run_transitions_are_reported_after_the_commit(database: Database) -> None:
    reported: list[tuple[Sequence[RunTransition], int]] = []

    def report(transitions: Sequence[RunTransition]) -> None:
        # Over a connection of its own, which sees only what is committed.
        with reading(database) as connection:
            committed = select(func.count()).where(RUNS.c.id.in_([each.run.run_id for each in transitions]))
            reported.append((transitions, connection.scalar(committed) or 0))

    async with open_database(url_of(database), on_run_transitions=report) as reporting:
        run = await reporting.write(create_run)

    [([created], committed)] = reported
    assert isinstance(created, RunCreated)
    assert (created.run.run_id, committed) == (run.id, 1)


async def test_run_transitions_are_not_reported_after_a_rollback(database: Database) -> None:
    reported: list[Sequence[RunTransition]] = []

    def work(connection: Connection) -> None:
        create_run(connection)
        raise Failed

    async with open_database(url_of(database), on_run_transitions=reported.append) as reporting:
        with pytest.raises(Failed):
            await reporting.write(work)
        # On the connection of the transaction before, whose transitions it is not to report.
        await reporting.write(remember, "no transition")

    assert reported == []


def create_run(connection: Connection) -> Run:
    assistant = assistants.create(connection, PROJECT, CreateAssistantRequest(model="m"))
    thread = threads.create(connection, PROJECT, CreateThreadRequest())
    spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
    return runs.create(connection, PROJECT, thread.id, spec)


def remember(connection: Connection, object_id: str) -> None:
    deleted_items.remember(connection, PROJECT, None, object_id, 1)


def is_remembered(connection: Connection, object_id: str) -> bool:
    return connection.scalar(select(DELETED_ITEMS.c.id).where(DELETED_ITEMS.c.id == object_id)) is not None


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)
