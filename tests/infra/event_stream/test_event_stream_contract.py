"""The promises of every event stream."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from infra.ports import EventStream
from models.events import Event

NO_WAIT = timedelta()
LONG = timedelta(seconds=20)


def some(*texts: str) -> list[Event]:
    return [Event("thread.message.delta", f'{{"text":"{text}"}}') for text in texts]


@pytest.fixture
def run_id() -> str:
    return f"run_{uuid4().hex}"


async def written(stream: EventStream, run_id: str) -> int:
    """Wait until what was appended can be read."""
    return await stream.following(run_id)


async def appended(stream: EventStream, run_id: str, first: int, fencing_token: int) -> bool:
    """Whether a writer's events are written. A stream that writes in the background reports it with the next append."""
    taken = await stream.append(run_id, first, some("x"), fencing_token=fencing_token)
    await written(stream, run_id)
    return taken and await stream.append(run_id, first, some("x"), fencing_token=fencing_token)


async def test_events_come_back_in_their_order_with_their_numbers(stream: EventStream, run_id: str) -> None:
    assert await stream.append(run_id, 2, some("a", "b"))
    assert await stream.append(run_id, 4, some("é\n c"))
    assert await written(stream, run_id) == 5

    batch = await stream.read(run_id, -1, NO_WAIT, 100)

    assert (batch.first, list(batch.events)) == (2, some("a", "b", "é\n c"))


async def test_the_first_number_is_0(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a", "b"))
    await written(stream, run_id)

    assert (await stream.read(run_id, -1, NO_WAIT, 100)).first == 0
    assert list((await stream.read(run_id, 0, NO_WAIT, 100)).events) == some("b")


async def test_a_reader_gets_what_follows_the_number_it_names(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a", "b", "c", "d"))
    await written(stream, run_id)

    batch = await stream.read(run_id, 1, NO_WAIT, 1)

    assert (batch.first, list(batch.events), batch.following) == (2, some("c"), 3)
    assert not (await stream.read(run_id, 3, NO_WAIT, 100)).events
    assert not (await stream.read(run_id, 99, NO_WAIT, 100)).events


async def test_an_unknown_run_has_no_events(stream: EventStream, run_id: str) -> None:
    assert not (await stream.read(run_id, -1, NO_WAIT, 100)).events
    assert await stream.following(run_id) == 0


async def test_readers_wait_for_the_next_event(stream: EventStream, run_id: str) -> None:
    readers = [asyncio.create_task(stream.read(run_id, -1, LONG, 100)) for _ in range(3)]
    await asyncio.wait(readers, timeout=0.05)

    await stream.append(run_id, 0, some("a"))

    async with asyncio.timeout(5):
        assert [list(batch.events) for batch in await asyncio.gather(*readers)] == [some("a")] * 3


async def test_hundreds_of_readers_wait_at_once(stream: EventStream, run_id: str) -> None:
    readers = [asyncio.create_task(stream.read(f"{run_id}{number}", -1, LONG, 100)) for number in range(300)]
    await asyncio.wait(readers, timeout=0.05)

    for number in range(300):
        await stream.append(f"{run_id}{number}", 0, some("a"))

    async with asyncio.timeout(15):
        assert [list(batch.events) for batch in await asyncio.gather(*readers)] == [some("a")] * 300


async def test_a_reader_waits_no_longer_than_it_says(stream: EventStream, run_id: str) -> None:
    async with asyncio.timeout(5):
        assert not (await stream.read(run_id, -1, timedelta(milliseconds=20), 100)).events


async def test_a_reader_that_goes_away_leaves_the_others_alone(stream: EventStream, run_id: str) -> None:
    gone, staying = (asyncio.create_task(stream.read(run_id, -1, LONG, 100)) for _ in range(2))
    await asyncio.wait([gone], timeout=0.05)
    gone.cancel()

    await stream.append(run_id, 0, some("a"))

    async with asyncio.timeout(5):
        assert list((await staying).events) == some("a")


async def test_flushed_events_can_be_read(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a", "b"))
    await stream.flush(run_id)
    await stream.flush(f"{run_id}2")

    assert list((await stream.read(run_id, -1, NO_WAIT, 100)).events) == some("a", "b")


async def test_runs_do_not_mix(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a"))
    await stream.append(f"{run_id}2", 0, some("b"))
    await written(stream, run_id)

    assert list((await stream.read(run_id, -1, NO_WAIT, 100)).events) == some("a")


async def test_events_whose_numbers_are_taken_are_rejected(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a", "b", "c"))
    await written(stream, run_id)

    assert not await appended(stream, run_id, 1, fencing_token=1)
    assert await written(stream, run_id) == 3
    assert list((await stream.read(run_id, -1, NO_WAIT, 100)).events) == some("a", "b", "c")


async def test_events_with_an_old_token_are_rejected(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a", "b"), fencing_token=1)
    assert await stream.fence(run_id, 2) == 2

    assert not await appended(stream, run_id, 2, fencing_token=1)

    assert await stream.append(run_id, 2, some("c"), fencing_token=2)
    assert await stream.append(run_id, 3, some("d"))
    await written(stream, run_id)
    assert list((await stream.read(run_id, -1, NO_WAIT, 100)).events) == some("a", "b", "c", "d")


async def test_a_fence_with_an_old_token_changes_nothing(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a"), fencing_token=2)
    assert await stream.fence(run_id, 2) == await stream.fence(run_id, 1) == 1

    assert not await appended(stream, run_id, 1, fencing_token=1)
    assert await stream.append(run_id, 1, some("b"), fencing_token=2)
    await written(stream, run_id)
    assert list((await stream.read(run_id, -1, NO_WAIT, 100)).events) == some("a", "b")


async def test_an_unknown_run_can_be_fenced(stream: EventStream, run_id: str) -> None:
    assert await stream.fence(run_id, 2) == 0

    assert not await appended(stream, run_id, 4, fencing_token=1)
    assert await stream.append(run_id, 5, some("b"), fencing_token=2)
    assert await written(stream, run_id) == 6


async def test_events_of_several_writers_keep_their_order(stream: EventStream, run_id: str) -> None:
    # At once, and so in one go where it is written in the background.
    await stream.append(run_id, 0, some("a"))
    await stream.append(run_id, 1, some("b", "c"), fencing_token=1)
    await stream.append(run_id, 3, some("d"))
    await written(stream, run_id)

    assert list((await stream.read(run_id, -1, NO_WAIT, 100)).events) == some("a", "b", "c", "d")


async def test_after_a_loss_events_begin_where_the_writer_is(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a"))
    await stream.append(run_id, 10, some("b", "c"))
    await written(stream, run_id)

    batch = await stream.read(run_id, 0, NO_WAIT, 100)

    assert (batch.first, list(batch.events)) == (10, some("b", "c"))


async def test_no_batch_has_a_gap(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a"))
    await stream.append(run_id, 5, some("b"))
    await written(stream, run_id)

    batch = await stream.read(run_id, -1, NO_WAIT, 100)

    assert len(batch.events) == 1
    assert (await stream.read(run_id, batch.first, NO_WAIT, 100)).first in {5, 0}


@pytest.mark.parametrize("status", ["requires_action", "completed", "failed", "incomplete", "cancelled", "expired"])
async def test_all_that_await_a_run_are_notified(stream: EventStream, run_id: str, status: str) -> None:
    with stream.awaiting(run_id) as first, stream.awaiting(run_id) as second, stream.awaiting(f"{run_id}2") as other:
        await stream.append(run_id, 0, [*some("a"), Event(f"thread.run.{status}", "{}")])

        async with asyncio.timeout(5):
            await asyncio.gather(first, second)
        assert not other.done()


async def test_a_change_without_an_event_is_announced(stream: EventStream, run_id: str) -> None:
    await stream.append(run_id, 0, some("a"))
    with stream.awaiting(run_id) as news, stream.awaiting(f"{run_id}2") as other:
        await stream.announce(run_id)

        async with asyncio.timeout(5):
            await news
        assert not other.done()
    assert await stream.following(run_id) == 1


async def test_other_events_notify_nobody(stream: EventStream, run_id: str) -> None:
    with stream.awaiting(run_id) as news:
        await stream.append(run_id, 0, [*some("a"), Event("thread.run.in_progress", "{}")])
        await stream.append(f"{run_id}2", 0, [Event("thread.run.completed", "{}")])
        with stream.awaiting(f"{run_id}3") as later:
            await stream.append(f"{run_id}3", 0, [Event("thread.run.completed", "{}")])

            async with asyncio.timeout(5):
                await later
        assert not news.done()


async def test_a_wait_that_has_ended_is_not_notified(stream: EventStream, run_id: str) -> None:
    with stream.awaiting(run_id) as gone:
        pass
    with stream.awaiting(run_id) as staying:
        await stream.append(run_id, 0, [Event("thread.run.completed", "{}")])

        async with asyncio.timeout(5):
            await staying
    assert not gone.done()
