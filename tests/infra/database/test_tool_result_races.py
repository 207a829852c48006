"""Results at once, and results beside a cancel or an end, on Postgres: the transactions take turns."""

from collections.abc import AsyncIterator

import pytest

from infra.database import run_finalization, runs, tool_results
from infra.database.engine import Database, open_database
from infra.database.tool_results import Stored
from models.finalization import Finalization
from models.runs import RunStatus
from tests.conftest import NewDatabase
from tests.database import overlap, reading
from tests.infra.database.conftest import PROJECT
from tests.infra.database.server_calls import EXECUTION, HITS, TIMING, CalledTools


@pytest.fixture(scope="module")
async def database(new_postgres_database: NewDatabase) -> AsyncIterator[Database]:
    async with open_database(new_postgres_database()) as opened:
        yield opened


async def test_second_of_two_results_at_once_begins_the_next_turn(database: Database) -> None:
    called = CalledTools.of(database, "file_search", "file_search")
    first, second = called.input(0), called.input(1)

    last = await overlap(
        database,
        lambda connection: tool_results.store_result(connection, first, HITS, TIMING),
        lambda connection: tool_results.store_result(connection, second, HITS, TIMING),
    )

    assert isinstance(last, Stored)
    assert (last.state.status, last.state.turn) == (RunStatus.IN_PROGRESS, 1)


async def test_same_result_at_once_is_stored_once(database: Database) -> None:
    called = CalledTools.of(database, "file_search")
    call = called.input(0)

    again = await overlap(
        database,
        lambda connection: tool_results.store_result(connection, call, HITS, TIMING),
        lambda connection: tool_results.store_result(connection, call, HITS, TIMING),
    )

    assert isinstance(again, Stored)
    assert (again.state.turn, again.events.events) == (1, ())


async def test_result_waits_for_a_cancel_and_is_not_stored(database: Database) -> None:
    called = CalledTools.of(database, "file_search")
    call = called.input(0)

    late = await overlap(
        database,
        lambda connection: runs.begin_cancelling(connection, PROJECT, called.run.thread_id, called.run.id),
        lambda connection: tool_results.store_result(connection, call, HITS, TIMING),
    )

    assert isinstance(late, Stored)
    assert (late.state.status, called.calls[0].result) == (RunStatus.CANCELLING, None)


async def test_end_waits_for_a_result(database: Database) -> None:
    called = CalledTools.of(database, "file_search")
    call = called.input(0)

    await overlap(
        database,
        lambda connection: tool_results.store_result(connection, call, HITS, TIMING),
        lambda connection: run_finalization.finalize(
            connection, Finalization(called.run.id, RunStatus.EXPIRED, by=EXECUTION)
        ),
    )

    with reading(database) as connection:
        assert runs.state_of(connection, called.run.id).status is RunStatus.EXPIRED
    assert called.calls[0].result == HITS
