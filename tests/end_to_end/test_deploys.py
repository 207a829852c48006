"""Workers are stopped, killed and replaced while others continue: no run waits for a lost worker."""

import signal
import time

import pytest

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.worker_process import worker_process
from workflows.activity_options import HEARTBEAT_TIMEOUT
from workflows.worker import GRACEFUL_SHUTDOWN, STICKY_TIMEOUT

pytestmark = [pytest.mark.any_database, pytest.mark.slow]

CALL = Calls(("weather", "{}"))
BUSY_MACHINE_SECONDS = 4
TEMPORALS_OWN_STICKY_SECONDS = 10


async def test_stopped_worker_hands_over_turns_and_runs_at_once(
    holdfast_apart: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("handed-over", Hangs(after="Well"), Says("Taken up."))
    provider.script("parked-at-stop", CALL, Says("Thanks."))
    settings = holdfast_apart.resources.settings
    async with worker_process(settings, "stopped") as stopped:
        speaking = await holdfast_apart.run(await holdfast_apart.assistant("handed-over"))
        await provider.requested("handed-over")
        parked = await holdfast_apart.until(
            await holdfast_apart.run(await holdfast_apart.assistant("parked-at-stop", "weather"))
        )
        async with worker_process(settings, "taking-over"):
            began = time.monotonic()
            stopped.process.send_signal(signal.SIGTERM)
            await stopped.says("holdfast.stopping")
            await holdfast_apart.until(await holdfast_apart.submit(parked, "sunny"), "completed")
            parked_took = time.monotonic() - began
            spoken = await holdfast_apart.until(speaking, "completed")
            took = time.monotonic() - began
            exit_code = await stopped.ended()

    assert parked_took < BUSY_MACHINE_SECONDS
    assert took < GRACEFUL_SHUTDOWN.total_seconds() + BUSY_MACHINE_SECONDS < HEARTBEAT_TIMEOUT.total_seconds() / 2
    assert await holdfast_apart.texts(spoken) == ["Hello", "Taken up."]
    assert len(provider.requests("handed-over")) == 2
    assert (exit_code, "Traceback" in stopped.output) == (0, False)


async def test_stopping_worker_finishes_short_turn(holdfast_apart: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says("Finished."), after="Nearly")
    provider.script("finished", held)
    async with worker_process(holdfast_apart.resources.settings, "finishing") as stopped:
        run = await holdfast_apart.run(await holdfast_apart.assistant("finished"))
        await held.arrived()

        stopped.process.send_signal(signal.SIGTERM)
        await stopped.says("holdfast.stopping")
        held.release()
        exit_code = await stopped.ended()

        done = await holdfast_apart.client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)

    assert (exit_code, done.status) == (0, "completed")
    assert len(provider.requests("finished")) == 1


async def test_run_of_killed_worker_continues_elsewhere(
    holdfast_apart: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("parked-at-kill", CALL, Says("Thanks."))
    settings = holdfast_apart.resources.settings
    async with worker_process(settings, "killed") as killed:
        parked = await holdfast_apart.until(
            await holdfast_apart.run(await holdfast_apart.assistant("parked-at-kill", "weather"))
        )
        async with worker_process(settings, "going-on"):
            killed.process.kill()
            await killed.ended()

            began = time.monotonic()
            await holdfast_apart.until(await holdfast_apart.submit(parked, "sunny"), "completed")
            took = time.monotonic() - began

    assert took < STICKY_TIMEOUT.total_seconds() + BUSY_MACHINE_SECONDS < TEMPORALS_OWN_STICKY_SECONDS
