"""Repairs of many runs at once: a failure of one does not affect the others."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities import command_reconciler
from activities.command_reconciler import CommandReconciler
from infra.database.outages import DatabaseUnavailable
from infra.run_workflows import Delivery, RunWorkflows
from models.turns import RunInput
from tests.holdfast import RunningHoldfast

Start = Callable[[str], Awaitable[None]]

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def _every_queued_run_is_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_reconciler, "OVERDUE_AFTER", -timedelta(minutes=1))


class ScriptedStarts(RunWorkflows):
    """Starts workflows by a function of the test."""

    def __init__(self, holdfast: RunningHoldfast, start: Start) -> None:
        super().__init__(holdfast.resources.temporal, holdfast.resources.settings)
        self._scripted = start

    async def start(self, run: RunInput) -> Delivery:
        await self._scripted(run.run_id)
        return Delivery.DELIVERED


class Repairs:
    """Repairs that block until the test releases them; the one numbered `failing` raises `error`."""

    def __init__(self, count: int, failing: str = "", error: Exception | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self.most_at_once = 0
        self._count = count
        self._failing = failing
        self._error = error
        self._all_begun = asyncio.Event()
        self.let_end = asyncio.Event()

    async def repair(self, run_id: str) -> None:
        self.begun += 1
        self.most_at_once = max(self.most_at_once, self.begun - self.ended)
        if self.begun == self._count:
            self._all_begun.set()
        try:
            await self._all_begun.wait()
            if run_id == self._failing and self._error:
                raise self._error
            await self.let_end.wait()
        finally:
            self.ended += 1

    async def all_begun(self) -> None:
        async with asyncio.timeout(20):
            await self._all_begun.wait()


def _reconciler(holdfast: RunningHoldfast, start: Start) -> CommandReconciler:
    resources = holdfast.resources
    return CommandReconciler(resources.database, ScriptedStarts(holdfast, start), resources.event_stream)


async def _queued_runs(holdfast: RunningHoldfast, count: int) -> list[str]:
    """Queued runs whose workflows make no progress, as there is no worker."""
    assistant = await holdfast.assistant("queued")
    return [(await holdfast.run(assistant)).id for _ in range(count)]


async def test_failed_repair_is_counted_and_others_complete(own_holdfast: RunningHoldfast) -> None:
    queued = await _queued_runs(own_holdfast, 3)
    repairs = Repairs(3, failing=queued[0], error=ValueError("a row that cannot be read"))
    repairs.let_end.set()

    report = await ActivityEnvironment().run(_reconciler(own_holdfast, repairs.repair).repeat)

    assert (report.repeated, report.closed, report.failed) == (2, 0, 1)


async def test_outage_ends_all_repairs_with_activity(own_holdfast: RunningHoldfast) -> None:
    queued = await _queued_runs(own_holdfast, 3)
    repairs = Repairs(3, failing=queued[0], error=DatabaseUnavailable("it is gone"))

    with pytest.raises(DatabaseUnavailable):
        await ActivityEnvironment().run(_reconciler(own_holdfast, repairs.repair).repeat)

    assert (repairs.begun, repairs.ended) == (3, 3)


async def test_cancellation_ends_all_repairs_with_activity(own_holdfast: RunningHoldfast) -> None:
    await _queued_runs(own_holdfast, 3)
    repairs = Repairs(3)
    environment = ActivityEnvironment()
    sweeping = asyncio.create_task(environment.run(_reconciler(own_holdfast, repairs.repair).repeat))
    await repairs.all_begun()

    environment.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sweeping
    assert (repairs.begun, repairs.ended) == (3, 3)


async def test_number_of_concurrent_repairs_is_limited(
    own_holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_reconciler, "MAX_AT_ONCE", 2)
    await _queued_runs(own_holdfast, 5)
    repairs = Repairs(2)
    repairs.let_end.set()

    report = await ActivityEnvironment().run(_reconciler(own_holdfast, repairs.repair).repeat)

    assert report.repeated == 5
    assert repairs.most_at_once == 2


async def test_long_sweep_heartbeats(own_holdfast: RunningHoldfast) -> None:
    await _queued_runs(own_holdfast, 1)
    beaten = asyncio.Event()
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: beaten.set()

    async def until_heartbeat(_: str) -> None:
        async with asyncio.timeout(20):
            await beaten.wait()

    report = await environment.run(_reconciler(own_holdfast, until_heartbeat).repeat)

    assert report.repeated == 1
