"""When a worker counts as gone: proved at once, otherwise after three seconds of looks in a row without a life sign."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from activities.gone_workers import LOOK_INTERVAL, SILENT_FOR, GoneWorkers
from infra.database import workers
from infra.database.worker_tables import WORKERS
from infra.processes import ProcessIdentity
from tests.database import reading
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database

ELSEWHERE = ProcessIdentity("elsewhere", 1, 1)
LOOKS = SILENT_FOR // LOOK_INTERVAL
ONLOOKER = "onlooker"
LONGEST_POLL = timedelta(seconds=60)


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


async def test_silent_worker_elsewhere_is_gone_after_three_seconds_of_looks(
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
