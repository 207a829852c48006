"""Life signs go on while the event loop stands still, and end with the worker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from infra.database import workers
from infra.database.engine import Database, open_database
from infra.database.migrations import migrate
from infra.life_signs import LivingWorker, giving_life_signs
from tests.database import reading

INTERVAL = timedelta(milliseconds=20)
ONLOOKER = "onlooker"


@pytest.fixture
async def database(own_database: str, tmp_path: Path) -> AsyncIterator[tuple[str, Database]]:
    url = own_database or f"sqlite:///{tmp_path}/holdfast.db"
    await asyncio.to_thread(migrate, url)
    async with open_database(url) as opened:
        yield url, opened


async def test_worker_gives_life_signs_while_its_event_loop_stands_still(database: tuple[str, Database]) -> None:
    url, opened = database
    worker = LivingWorker.new()
    async with giving_life_signs(url, worker, INTERVAL):
        before = _life_signs(opened, worker)
        deadline = time.monotonic() + 10
        # Nothing here awaits: the loop gets no turn.
        while _life_signs(opened, worker) < before + 3:
            assert time.monotonic() < deadline, "no life sign"

    assert [other.id for other in await opened.read(workers.others, ONLOOKER)] == []


async def test_worker_lives_before_it_takes_anything_and_is_known_by_its_process(
    database: tuple[str, Database],
) -> None:
    url, opened = database
    worker = LivingWorker.new()
    async with giving_life_signs(url, worker, timedelta(hours=1)):
        [seen] = await opened.read(workers.others, ONLOOKER)

    assert (seen.id, seen.process, seen.process.has_ended(), seen.is_gone) == (worker.id, worker.process, False, False)


@pytest.mark.any_database
async def test_database_that_does_not_answer_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path}/holdfast.db"
    worker = LivingWorker.new()
    with caplog.at_level(logging.WARNING):
        # Without tables, every statement fails.
        async with giving_life_signs(url, worker, INTERVAL):
            await asyncio.to_thread(migrate, url)
            async with open_database(url) as opened, asyncio.timeout(10):
                while not await opened.read(workers.others, ONLOOKER):
                    await asyncio.sleep(INTERVAL.total_seconds())

    assert [record.getMessage() for record in caplog.records].count("worker.life_sign_failed") == 1


def _life_signs(database: Database, worker: LivingWorker) -> int:
    with reading(database) as connection:
        [seen] = workers.others(connection, ONLOOKER)
    assert seen.id == worker.id
    return seen.life_signs
