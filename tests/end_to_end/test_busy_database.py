"""A turn that waits for its database sends heartbeats, so that no other attempt calls the model again."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from openai.types.beta.threads import Run

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Held, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

START_SECONDS = 20
"""Less than other users of the database wait for its lock."""


@contextmanager
def locked(holdfast: RunningHoldfast) -> Iterator[None]:
    """Hold the write lock of the database until the block ends, as a VACUUM of another process does."""
    database = holdfast.resources.settings.data_dir / "holdfast.db"
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def until_heartbeat(holdfast: RunningHoldfast, run: Run) -> None:
    """Wait for a heartbeat of the run's turn that is younger than this call."""
    since = datetime.now(UTC)
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    async with asyncio.timeout(20):
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if any(each.last_heartbeat_time.ToDatetime(UTC) > since for each in pending):
                return
            await asyncio.sleep(0.05)


async def until_finalizing(holdfast: RunningHoldfast, run: Run) -> None:
    """Wait until the turn has ended and the run's workflow finalizes the run."""
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    async with asyncio.timeout(20):
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if [each.activity_type.name for each in pending] == ["RunEndings.end"]:
                return
            await asyncio.sleep(0.05)


async def test_turn_heartbeats_while_commit_waits(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    answer = Held(Says("Paid for once."))
    provider.script("busy-commit", answer)
    await own_holdfast.start_worker()
    run = await own_holdfast.run(await own_holdfast.assistant("busy-commit"))
    await answer.arrived()

    with locked(own_holdfast):
        answer.release()
        # The first may date from the time of the model call; the second cannot.
        await until_heartbeat(own_holdfast, run)
        await until_heartbeat(own_holdfast, run)

    assert (await own_holdfast.until(run)).status == "completed"
    assert len(provider.requests("busy-commit")) == 1


async def test_turn_heartbeats_while_begin_waits(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("busy-begin", Says("Here I am."))
    run = await own_holdfast.run(await own_holdfast.assistant("busy-begin"))

    with locked(own_holdfast):
        async with asyncio.timeout(START_SECONDS):
            await own_holdfast.start_worker()
        await until_heartbeat(own_holdfast, run)

    assert (await own_holdfast.until(run)).status == "completed"
    assert len(provider.requests("busy-begin")) == 1


async def test_turn_cancelled_while_waiting_leaves_no_lock(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("busy-cancelled", Says("Never asked."))
    run = await own_holdfast.run(await own_holdfast.assistant("busy-cancelled"))

    with locked(own_holdfast):
        async with asyncio.timeout(START_SECONDS):
            await own_holdfast.start_worker()
        await until_heartbeat(own_holdfast, run)
        await own_holdfast.resources.temporal.get_workflow_handle(run.id).cancel()
        # The turn ends at once, while its transaction still waits for the lock.
        await until_finalizing(own_holdfast, run)

    assert (await own_holdfast.until(run)).status == "cancelled"
    assert await own_holdfast.client.beta.threads.create()
    assert provider.requests("busy-cancelled") == []
