"""How long the end of a worker may take."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cli import worker
from cli.worker import TemporalGone, until_ended
from infra.temporal import check_temporal
from tests.console.cuttable_proxy import cuttable_proxy
from tests.program import until

pytestmark = pytest.mark.any_database


class Work:
    """A worker's: cancelled, it ends when what it tells Temporal has arrived."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.told = asyncio.Event()
        self.has_ended = False

    async def run(self) -> None:
        try:
            self.began.set()
            await asyncio.Event().wait()
        finally:
            await self.told.wait()
            self.has_ended = True


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("END_PATIENCE", "PATIENCE_WITHOUT_TEMPORAL", "CHECK_INTERVAL"):
        monkeypatch.setattr(worker, limit, timedelta(milliseconds=1))


async def test_a_worker_does_not_wait_for_a_temporal_that_is_gone(
    temporal_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than any test: one that refuses is known to be gone before.
    monkeypatch.setattr(worker, "END_PATIENCE", timedelta(hours=1))
    work = Work()
    async with cuttable_proxy(temporal_port) as (proxy, url):
        client = await Client.connect(url.removeprefix("http://"))
        ending = asyncio.create_task(until_ended(work.run(), client))
        await work.began.wait()

        proxy.cut()
        ending.cancel()

        with pytest.raises(TemporalGone):
            await ending
    assert not work.has_ended
    work.told.set()


async def test_a_worker_does_not_wait_for_a_temporal_that_never_answers(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(client: Client) -> None:
        raise TimeoutError

    monkeypatch.setattr(worker, "check_temporal", hangs)
    monkeypatch.setattr(worker, "PATIENCE_WITHOUT_TEMPORAL", timedelta(hours=1))
    work = Work()
    ending = asyncio.create_task(until_ended(work.run(), temporal.client))
    await work.began.wait()

    ending.cancel()

    with pytest.raises(TemporalGone):
        await ending
    work.told.set()


async def test_a_worker_waits_while_temporal_answers(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, checks = Work(), 0

    async def counted(client: Client) -> None:
        nonlocal checks
        await check_temporal(client)
        checks += 1

    monkeypatch.setattr(worker, "check_temporal", counted)
    ending = asyncio.create_task(until_ended(work.run(), temporal.client))
    await work.began.wait()

    ending.cancel()

    async def has_asked_twice() -> bool:
        return checks > 1

    await until(has_asked_twice, "it does not ask")
    work.told.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert work.has_ended


async def test_a_worker_that_fails_says_why(temporal: WorkflowEnvironment) -> None:
    async def fails() -> None:
        raise RuntimeError("no sweep")

    with pytest.raises(RuntimeError, match="no sweep"):
        await until_ended(fails(), temporal.client)
