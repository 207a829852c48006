"""What the in-process stream keeps, and what it lets go."""

from datetime import timedelta

import pytest

from infra.event_stream import in_process
from infra.event_stream.bounds import size_of
from infra.event_stream.in_process import InProcessEventStream
from models.events import Event

NO_WAIT = timedelta()
EVENT = Event("thread.message.delta", '{"text":"a"}')


async def first_kept(stream: InProcessEventStream, run_id: str) -> int | None:
    batch = await stream.read(run_id, -1, NO_WAIT, 1)
    return batch.first if batch.events else None


async def test_a_run_that_says_much_keeps_its_newest_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "MAX_EVENTS_PER_RUN", 10)
    stream = InProcessEventStream(timedelta(hours=1))

    for number in range(25):
        await stream.append("run_a", number, [EVENT])

    assert await first_kept(stream, "run_a") == 10
    assert await stream.following("run_a") == 25


async def test_runs_that_were_quiet_for_longest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "MAX_SIZE", 5 * size_of([EVENT]))
    stream = InProcessEventStream(timedelta(hours=1))
    for number in range(3):
        for run_id in ("run_quiet", "run_busy"):
            await stream.append(run_id, number, [EVENT])

    await stream.append("run_busy", 3, [EVENT])
    await stream.append("run_new", 0, [EVENT])

    assert [await first_kept(stream, run_id) for run_id in ("run_quiet", "run_busy", "run_new")] == [None, 0, 0]


async def test_a_single_run_keeps_to_the_size_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "MAX_SIZE", 6 * size_of([EVENT]))
    stream = InProcessEventStream(timedelta(hours=1))
    await stream.append("run_quiet", 0, [EVENT])

    for number in range(20):
        await stream.append("run_busy", number, [EVENT])

    assert await first_kept(stream, "run_quiet") is None
    assert await stream.following("run_busy") == 20
    kept = await stream.read("run_busy", -1, timedelta(), 100)
    assert 3 <= len(kept.events) <= 6


async def test_events_are_kept_for_a_while_only() -> None:
    stream = InProcessEventStream(timedelta())
    await stream.append("run_a", 0, [EVENT])

    await stream.append("run_b", 0, [EVENT])

    assert [await first_kept(stream, run_id) for run_id in ("run_a", "run_b")] == [None, 0]
