"""Parks thousands of runs that wait for tool outputs, and measures their cost and how quickly they continue."""

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from openai import AsyncOpenAI
from openai.types.beta.threads import Run
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.bench.load import HEADER, client_of, measure
from tests.cli.apart import APART_TASK_QUEUE, running_apart
from tests.cli.program import Place, Up
from tests.holdfast import function_tool
from workflows.sweep import sweep_id
from workflows.worker import MAX_CACHED_WORKFLOWS

PARKED = 10_000
CONCURRENT = 16
BROUGHT_BACK = 200
# Runs that are parked while the worker's cache fills belong to no comparison of memory.
STAGES = (0, *range(2 * MAX_CACHED_WORKFLOWS, PARKED + 1, 2 * MAX_CACHED_WORKFLOWS))
# Ten seconds apart.
SWEEPS = 3
A_DAY = "86400"


def measure_parked() -> None:
    """Print the memory at each of `STAGES`, then the time to answer the first runs and the last ones.

    API and worker are separate processes, so that the worker's memory is measured alone.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        up = Up(Place.new(folder)).ready()
        try:
            with running_apart(folder / "apart", up, HOLDFAST_RUN_EXPIRY_SECONDS=A_DAY) as (url, processes):
                temporal = up.temporal()
                assert temporal is not None
                servers = {name: psutil.Process(process.pid) for name, process in processes.items()}
                asyncio.run(_measure(url, up.place.temporal_port, {**servers, "temporal": temporal}))
        finally:
            up.interrupt()
            up.process.wait()


async def _measure(url: str, temporal_port: int, servers: dict[str, psutil.Process]) -> None:
    async with client_of(url, CONCURRENT) as client:
        assistant = await client.beta.assistants.create(model=SCRIPTED_MODEL, tools=[function_tool("get_weather")])
        parked: list[Run] = []
        for stage in STAGES:
            parked += await _park(client, assistant.id, stage - len(parked))
            print(f"{stage:>6} parked: " + ", ".join(f"{name} {_megabytes(it)} MB" for name, it in servers.items()))
        print(f"sweeps with {PARKED} parked: {await _sweep_seconds(temporal_port):.3f} s each")
        print(f"\n{HEADER}")
        # The first runs are evicted from the worker's cache: their histories are fetched and replayed.
        submit = _submit_next(client, iter(parked))
        print((await measure(submit, BROUGHT_BACK, 1, servers)).row("submit to in progress, one after another"))
        print((await measure(submit, BROUGHT_BACK, CONCURRENT, servers)).row("submit to in progress, 16 at once"))
        submit = _submit_next(client, reversed(parked))
        print((await measure(submit, BROUGHT_BACK, 1, servers)).row("the same, of runs that are still cached"))


async def _park(client: AsyncOpenAI, assistant_id: str, count: int) -> list[Run]:
    room = asyncio.Semaphore(CONCURRENT)

    async def one() -> Run:
        async with room:
            run = await client.beta.threads.create_and_run_poll(assistant_id=assistant_id)
            assert run.status == "requires_action"
            return run

    return await asyncio.gather(*(one() for _ in range(count)))


def _submit_next(client: AsyncOpenAI, runs: Iterator[Run]) -> Callable[[], Awaitable[None]]:
    async def submit() -> None:
        run = next(runs)
        assert run.required_action is not None
        calls = run.required_action.submit_tool_outputs.tool_calls
        # By the stream: sixteen clients that poll every few milliseconds cost the server more than the runs do.
        events = await client.beta.threads.runs.submit_tool_outputs(
            run.id,
            thread_id=run.thread_id,
            tool_outputs=[{"tool_call_id": call.id, "output": "sunny"} for call in calls],
            stream=True,
        )
        async with events:
            async for event in events:
                if event.event == "thread.run.in_progress":
                    return
        raise AssertionError("the run was not taken up")

    return submit


async def _sweep_seconds(temporal_port: int) -> float:
    """Durations of the next sweeps: earlier ones ran beside the load of the parking."""
    temporal = await Client.connect(f"127.0.0.1:{temporal_port}")
    sweep = temporal.get_workflow_handle(sweep_id(APART_TASK_QUEUE))
    began = datetime.now(UTC)
    seconds: list[float] = []
    while len(seconds) < SWEEPS:
        await asyncio.sleep(1)
        seconds = await _sweeps_since(sweep, began)
    return statistics.median(seconds)


async def _sweeps_since(sweep: WorkflowHandle[Any, Any], began: datetime) -> list[float]:
    """From the scheduling of the first activity of each sweep to the start of the timer after it."""
    scheduled, seconds = None, []
    async for event in sweep.fetch_history_events():
        at = event.event_time.ToDatetime(UTC)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and at > began:
            scheduled = scheduled or at
        elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED and scheduled:
            seconds.append((at - scheduled).total_seconds())
            scheduled = None
    return seconds


def _megabytes(process: psutil.Process) -> int:
    return int(process.memory_info().rss / 1_000_000)
