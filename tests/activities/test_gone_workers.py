"""When a worker counts as gone, and what it then loses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities import gone_workers as gone_workers_module
from activities.gone_workers import SUSPECTED_AFTER, GoneWorkers
from activities.takeovers import LOOK_INTERVAL
from activities.takeovers import LOOKS as WATCHED_LOOKS
from infra import held_activities
from infra.database import workers
from infra.database.worker_tables import WORKERS
from infra.held_activities import HeldActivity, fail, held_by
from infra.processes import ProcessIdentity
from infra.resources import open_web
from tests.database import reading
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from workflows.worker import UNSANDBOXED, create_control_worker, create_worker

pytestmark = pytest.mark.any_database

ELSEWHERE = ProcessIdentity("elsewhere", 1, 1)
LOOKS = SUSPECTED_AFTER // LOOK_INTERVAL
ONLOOKER = "onlooker"
LONGEST_POLL = timedelta(seconds=60)
WORKER = f"worker-{ELSEWHERE.pid}"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def gone_workers(own_holdfast: RunningHoldfast) -> GoneWorkers:
    return GoneWorkers(own_holdfast.resources.database, own_holdfast.resources.temporal, ONLOOKER)


async def lives(holdfast: RunningHoldfast, process: ProcessIdentity = ELSEWHERE, life_signs: int = 1) -> None:
    await holdfast.resources.database.write(workers.give_life_sign, f"worker-{process.pid}", process, life_signs)


async def known(holdfast: RunningHoldfast) -> list[str]:
    """The workers that are not taken over."""
    with reading(holdfast.resources.database) as connection:
        return list(connection.scalars(select(WORKERS.c.id).where(WORKERS.c.taken_over_by.is_(None))))


async def test_worker_is_forgotten_when_no_poll_of_it_can_be_left(
    own_holdfast: RunningHoldfast, gone_workers: GoneWorkers
) -> None:
    await lives(own_holdfast)
    await own_holdfast.resources.database.write(workers.declare_all_gone)
    looks = 0

    while await own_holdfast.resources.database.read(workers.others, ONLOOKER):
        await gone_workers.look()
        looks += 1

    assert LONGEST_POLL < (looks - 1) * LOOK_INTERVAL < 2 * LONGEST_POLL


async def test_silent_worker_elsewhere_is_watched_after_some_looks(
    own_holdfast: RunningHoldfast, gone_workers: GoneWorkers
) -> None:
    await lives(own_holdfast)

    for _ in range(LOOKS):
        await gone_workers.look()
    before = await known(own_holdfast)
    await gone_workers.look()

    assert (before, await known(own_holdfast)) == (["worker-1"], [])


async def test_worker_elsewhere_that_gives_a_life_sign_is_not_gone(
    own_holdfast: RunningHoldfast, gone_workers: GoneWorkers
) -> None:
    for number in range(3):
        await lives(own_holdfast, life_signs=number)
        for _ in range(LOOKS):
            await gone_workers.look()

    assert await known(own_holdfast) == ["worker-1"]


async def test_worker_of_a_folder_that_is_held_again_is_gone_at_once(
    own_holdfast: RunningHoldfast, gone_workers: GoneWorkers
) -> None:
    await lives(own_holdfast)
    await own_holdfast.resources.database.write(workers.declare_all_gone)

    await gone_workers.look()

    assert await known(own_holdfast) == []


async def test_process_that_has_ended_is_gone_at_once_and_one_that_lives_never(
    own_holdfast: RunningHoldfast, gone_workers: GoneWorkers
) -> None:
    own = ProcessIdentity.own()
    await lives(own_holdfast, own)
    await lives(own_holdfast, ProcessIdentity(own.machine, 2**22 + 1, 1))
    # Of a living process nothing else counts.
    await own_holdfast.resources.database.write(workers.declare_all_gone)

    for _ in range(LOOKS + 2):
        await gone_workers.look()

    assert await known(own_holdfast) == [f"worker-{own.pid}"]


async def test_gone_worker_whose_claimant_is_gone_too_is_taken_over_at_once(
    own_holdfast: RunningHoldfast, gone_workers: GoneWorkers
) -> None:
    database = own_holdfast.resources.database
    await lives(own_holdfast)
    [gone] = await database.read(workers.others, ONLOOKER)
    await lives(own_holdfast, ProcessIdentity("elsewhere", 2, 1))
    await database.write(workers.claim, gone, "worker-2")
    await database.write(workers.declare_all_gone)

    await gone_workers.look()

    with reading(database) as connection:
        assert connection.scalars(select(WORKERS.c.taken_over_by)).all() == [ONLOOKER, ONLOOKER]


async def test_each_workflow_is_looked_into_once_for_all_gone_workers(
    own_holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources, looks = own_holdfast.resources, list[tuple[str, list[str]]]()

    async def recorded_look(_: Client, workflow_id: str, of: list[str]) -> Sequence[HeldActivity]:
        looks.append((workflow_id, of))
        return []

    monkeypatch.setattr(held_activities, "held_by", recorded_look)
    await lives(own_holdfast)
    await lives(own_holdfast, ProcessIdentity("elsewhere", 2, 1))
    await resources.database.write(workers.declare_all_gone)

    await GoneWorkers(resources.database, resources.temporal, ONLOOKER, ["sweep"]).look()

    assert looks == [("sweep", ["worker-1", "worker-2"])]


async def test_worker_that_temporal_hears_keeps_its_answer_whatever_temporals_clock_says(
    own_holdfast: RunningHoldfast,
    gone_workers: GoneWorkers,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def held_by_slow_clock(*about: Any) -> Sequence[HeldActivity]:
        return [replace(each, heard_at=each.heard_at - timedelta(minutes=1)) for each in await held_by(*about)]

    monkeypatch.setattr(held_activities, "held_by", held_by_slow_clock)
    held = Held(Says(" there."), after="Still")
    provider.script("slow-clock", held, Says("Never said."))
    async with working(own_holdfast):
        run = await own_holdfast.run(await own_holdfast.assistant("slow-clock"))
        await held.arrived()
        for _ in range(LOOKS + 1):
            await gone_workers.look()
        await next_heartbeat(own_holdfast, run.id)
        for _ in range(WATCHED_LOOKS):
            await gone_workers.look()
        said = {record.message for record in caplog.records}
        held.release()
        done = await own_holdfast.until(run)

    assert "worker.without_database" in said
    assert "activity.taken_over" not in said
    assert await own_holdfast.texts(done) == ["Hello", "Still there."]


async def test_worker_elsewhere_that_nobody_hears_loses_its_answer_after_as_many_looks_as_three_seconds_have(
    own_holdfast: RunningHoldfast,
    gone_workers: GoneWorkers,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def held_unheard(*about: Any) -> Sequence[HeldActivity]:
        return [replace(each, heard_at=LONG_AGO) for each in await held_by(*about)]

    monkeypatch.setattr(held_activities, "held_by", held_unheard)
    provider.script("unheard", Hangs(after="Late"), Says("Taken up."))
    async with working(own_holdfast):
        run = await own_holdfast.run(await own_holdfast.assistant("unheard"))
        await provider.requested("unheard")
        for _ in range(LOOKS + WATCHED_LOOKS):
            await gone_workers.look()
        before = {record.message for record in caplog.records}
        await gone_workers.look()
        done = await own_holdfast.until(run)

    assert "activity.taken_over" not in before
    assert "activity.taken_over" in {record.message for record in caplog.records}
    assert await own_holdfast.texts(done) == ["Hello", "Taken up."]


async def test_activity_is_released_with_the_look_at_it_and_one_refusal_delays_no_other(
    own_holdfast: RunningHoldfast,
    gone_workers: GoneWorkers,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, str]] = []

    async def recorded_look(client: Client, workflow_id: str, *about: Any) -> Sequence[HeldActivity]:
        done.append(("look", workflow_id))
        if len(done) == 1:
            raise RPCError("Not now.", RPCStatusCode.UNAVAILABLE, b"")
        return await held_by(client, workflow_id, *about)

    async def recorded_end(client: Client, held: HeldActivity, error: ApplicationError) -> bool:
        done.append(("end", held.workflow_id))
        return await fail(client, held, error)

    monkeypatch.setattr(gone_workers_module, "MAX_AT_ONCE", 1)
    monkeypatch.setattr(held_activities, "held_by", recorded_look)
    monkeypatch.setattr(held_activities, "fail", recorded_end)
    provider.script("refused", *[Hangs(after="Once")] * 3, *[Says("Again.")] * 9)
    assistant = await own_holdfast.assistant("refused")
    async with working(own_holdfast):
        runs = [await own_holdfast.run(assistant) for _ in range(3)]
        async with asyncio.timeout(20):
            while len(provider.requests("refused")) < len(runs):
                await asyncio.sleep(0.05)
        await own_holdfast.resources.database.write(workers.declare_all_gone)

        await gone_workers.look()
        first, second, third = [workflow_id for what, workflow_id in done if what == "look"]
        in_first_look = list(done)
        await gone_workers.look()

        assert in_first_look == [("look", first), ("look", second), ("end", second), ("look", third), ("end", third)]
        assert ("end", first) in done
        for run in runs:
            assert await own_holdfast.texts(await own_holdfast.until(run)) == ["Hello", "Again."]


@asynccontextmanager
async def working(holdfast: RunningHoldfast) -> AsyncIterator[None]:
    """A worker that gave one life sign, and does its work."""
    resources = holdfast.resources
    async with (
        open_web(resources.settings) as web,
        create_control_worker(resources, WORKER),
        create_worker(resources, web, WORKER, UNSANDBOXED),
    ):
        await lives(holdfast)
        yield


async def next_heartbeat(holdfast: RunningHoldfast, workflow_id: str) -> None:
    async def heard() -> list[HeldActivity]:
        return list(await held_by(holdfast.resources.temporal, workflow_id, [WORKER]))

    first = await heard()
    async with asyncio.timeout(10):
        while await heard() == first:
            await asyncio.sleep(0.05)
