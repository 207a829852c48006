"""A gone worker is taken over by one other, and never one that lives."""

from dataclasses import replace
from uuid import uuid4

import pytest

from infra.database import workers
from infra.database.connections import SQLITE
from infra.database.engine import Database
from infra.database.workers import SeenWorker
from infra.processes import ProcessIdentity
from tests.database import overlap

ELSEWHERE = ProcessIdentity("elsewhere", 1, 1)


async def lives(database: Database, life_signs: int = 1, worker: str = "") -> SeenWorker:
    """A worker, as another one sees it."""
    name = worker or uuid4().hex
    await database.write(workers.give_life_sign, name, ELSEWHERE, life_signs)
    return next(each for each in await database.read(workers.others, "onlooker") if each.id == name)


async def test_one_worker_takes_over(database: Database) -> None:
    gone, first, second = [await lives(database) for _ in range(3)]

    claims = [await database.write(workers.claim, gone, each.id) for each in (first, second, first)]

    assert claims == [True, False, True]


async def test_of_two_claims_at_once_one_succeeds(database: Database) -> None:
    if database.engine.dialect.name == SQLITE:
        pytest.skip("SQLite has one writer at a time.")
    gone, first, second = [await lives(database) for _ in range(3)]

    other = await overlap(
        database,
        lambda connection: workers.claim(connection, gone, first.id),
        lambda connection: workers.claim(connection, gone, second.id),
    )

    assert other is False


async def test_worker_whose_claimant_is_gone_is_taken_over_by_another(database: Database) -> None:
    gone, first, second = [await lives(database) for _ in range(3)]
    assert await database.write(workers.claim, gone, first.id)

    before = await database.write(workers.claim, gone, second.id, [gone.id])
    after = await database.write(workers.claim, gone, second.id, [gone.id, first.id])

    assert (before, after) == (False, True)


async def test_worker_whose_claimant_is_forgotten_is_taken_over_by_another(database: Database) -> None:
    gone, first, second = [await lives(database) for _ in range(3)]
    assert await database.write(workers.claim, gone, first.id)

    await database.write(workers.remove, first.id)

    assert await database.write(workers.claim, gone, second.id)


async def test_worker_that_gives_another_life_sign_is_neither_taken_over_nor_forgotten(database: Database) -> None:
    seen, other = [await lives(database) for _ in range(2)]
    claimed = await database.write(workers.claim, seen, other.id)

    back = await lives(database, life_signs=2, worker=seen.id)
    await database.write(workers.forget, seen, other.id)

    assert claimed
    assert not await database.write(workers.claim, seen, other.id)
    assert back in await database.read(workers.others, "onlooker")


async def test_worker_that_was_taken_over_is_forgotten(database: Database) -> None:
    gone, other = [await lives(database) for _ in range(2)]
    await database.write(workers.claim, gone, other.id)

    await database.write(workers.forget, gone, other.id)

    assert gone.id not in {each.id for each in await database.read(workers.others, "onlooker")}


async def test_worker_that_was_declared_gone_is_back_with_its_next_life_sign(database: Database) -> None:
    seen = await lives(database)

    await database.write(workers.declare_all_gone)
    [declared] = [each for each in await database.read(workers.others, "onlooker") if each.id == seen.id]
    back = await lives(database, life_signs=2, worker=seen.id)

    assert (declared, back.is_gone) == (replace(seen, is_gone=True), False)
