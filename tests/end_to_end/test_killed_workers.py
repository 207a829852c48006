"""The activities of a killed worker are taken up at once; those of one that is frozen or cut off are not doubled.

`make bench ARGS=takeovers` measures the time.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai.types.beta.threads import Run
from sqlalchemy import text, update

from activities.takeovers import SILENT_FOR
from infra.database.worker_tables import WORKERS
from tests.chaos.ledgers import Ledger
from tests.database import writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent
from tests.streams import all_events
from tests.worker_process import WorkerProcess, worker_process

pytestmark = [pytest.mark.any_database, pytest.mark.slow]


async def test_answer_of_killed_worker_is_asked_for_again_at_once(
    holdfast_apart: RunningHoldfast, provider: ScriptedProvider
) -> None:
    again = Held(Says(" up."), after="Taken")
    provider.script("killed", Hangs(after="Well"), again)
    async with two_workers(holdfast_apart, provider, "killed") as (run, killed, other):
        killed.process.kill()
        await again.arrived()
        again.release()
        done = await holdfast_apart.until(run, "completed")
        timeline: Any = await holdfast_apart.client.get(f"/ops/runs/{run.id}", cast_to=object)
        taken_over, gone = logged(other, "activity.taken_over", "worker.gone")

    assert await holdfast_apart.texts(done) == ["Hello", "Taken up."]
    assert (gone["reason"], gone["activities"]) == ("process ended", 1)
    assert (taken_over["workflow_id"], taken_over["attempt"], taken_over["worker"]) == (run.id, 1, gone["worker"])
    [turn] = timeline["turns"]
    assert turn["attempts"] == 2
    assert [failure["message"] for failure in turn["failures"]] == [f"The worker {gone['worker']} is gone."]


async def test_frozen_worker_keeps_its_answer(holdfast_apart: RunningHoldfast, provider: ScriptedProvider) -> None:
    """Its process has not ended, so that of its machine nobody takes it for gone."""
    held = Held(Says(" here."), after="Still")
    provider.script("frozen", held)
    async with two_workers(holdfast_apart, provider, "frozen") as (run, frozen, other):
        frozen.process.send_signal(signal.SIGSTOP)
        # Longer than a worker elsewhere may be silent.
        await asyncio.sleep(2 * SILENT_FOR.total_seconds())
        frozen.process.send_signal(signal.SIGCONT)
        held.release()
        done = await holdfast_apart.until(run, "completed")
        said = logged(other, "worker.gone")

    assert await holdfast_apart.texts(done) == ["Hello", "Still here."]
    assert (len(provider.requests("frozen")), said) == (1, [])


async def test_worker_that_was_frozen_elsewhere_is_not_doubled(
    holdfast_apart: RunningHoldfast, provider: ScriptedProvider
) -> None:
    """After how many looks it counts as gone is shown by tests/activities/test_gone_workers.py."""
    first, again = Held(Says(" answer."), after="Late"), Held(Says(" up."), after="Taken")
    provider.script("frozen-elsewhere", first, again)
    async with two_workers(holdfast_apart, provider, "frozen-elsewhere") as (run, frozen, _):
        put_elsewhere(holdfast_apart, frozen)
        frozen.process.send_signal(signal.SIGSTOP)
        await again.arrived()
        # When it goes on, its answer is complete.
        first.release()
        frozen.process.send_signal(signal.SIGCONT)
        again.release()
        done = await holdfast_apart.until(run, "completed")
        frozen.process.terminate()
        await frozen.ended()
        events = await all_events(holdfast_apart, {"id": run.id, "thread_id": run.thread_id})

    assert await holdfast_apart.texts(done) == ["Hello", "Taken up."]
    assert stream_faults(events) == []
    assert [event.name for event in events].count("thread.message.completed") == 1


async def test_worker_that_is_cut_off_from_the_database_keeps_its_answer(
    holdfast_apart: RunningHoldfast, provider: ScriptedProvider
) -> None:
    held = Held(Says(" there."), after="Still")
    provider.script("cut-off", held)
    async with two_workers(holdfast_apart, provider, "cut-off") as (run, cut_off, other):
        put_elsewhere(holdfast_apart, cut_off)
        silence(holdfast_apart, cut_off)
        await other.says("worker.without_database")
        said = logged(other, "worker.gone")
        held.release()
        done = await holdfast_apart.until(run, "completed")

    assert said == []
    assert await holdfast_apart.texts(done) == ["Hello", "Still there."]
    assert len(provider.requests("cut-off")) == 1


@asynccontextmanager
async def two_workers(
    holdfast: RunningHoldfast, provider: ScriptedProvider, model: str
) -> AsyncIterator[tuple[Run, WorkerProcess, WorkerProcess]]:
    """A run whose model is answering, the worker that asked it, and another one."""
    settings = holdfast.resources.settings
    async with worker_process(settings, "first") as first:
        run = await holdfast.run(await holdfast.assistant(model))
        await provider.requested(model)
        async with worker_process(settings, "other") as other:
            yield run, first, other


def put_elsewhere(holdfast: RunningHoldfast, worker: WorkerProcess) -> None:
    """Let the others take the worker for one of another machine, of whose process they know nothing."""
    elsewhere = update(WORKERS).where(WORKERS.c.pid == worker.process.pid).values(machine="elsewhere")
    with writing(holdfast.resources.database) as connection:
        assert connection.execute(elsewhere).rowcount == 1


def silence(holdfast: RunningHoldfast, worker: WorkerProcess) -> None:
    """Let the database refuse the worker's life signs, and nothing else."""
    with writing(holdfast.resources.database) as connection:
        connection.execute(
            text(
                f"CREATE TRIGGER cut_off BEFORE UPDATE ON workers WHEN NEW.pid = {worker.process.pid} "
                "AND NEW.life_signs <> OLD.life_signs BEGIN SELECT RAISE(ABORT, 'cut off'); END"
            )
        )


def logged(worker: WorkerProcess, *events: str) -> list[dict[str, Any]]:
    """The worker's log lines of these events."""
    lines = [json.loads(line) for line in worker.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] in events]


def stream_faults(events: list[Sent]) -> list[str]:
    ledger = Ledger()
    for event in events[:-1]:
        ledger.take(event)
    return ledger.faults
