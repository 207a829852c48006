"""Latency under load: a run beside a hundred that wait for their model, and a cancel."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from openai import AsyncOpenAI

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.bench.load import HEADER, Measured, client_of, measure
from tests.cli.program import Place, Up
from tests.provider.replies import Hangs
from tests.provider.scripted_provider import ScriptedProvider, running_provider

THREAD: Any = {"messages": [{"role": "user", "content": "Hello there"}]}
RUNS = 100
CANCELS = 10
WAITING = 100


def measure_waiting() -> None:
    with tempfile.TemporaryDirectory() as folder, running_provider() as provider:
        up = Up(Place.new(Path(folder)), HOLDFAST_MODELS=str(provider.models_file(Path(folder)))).ready()
        try:
            asyncio.run(_measure(up, provider))
        finally:
            up.interrupt()
            up.process.wait()


async def _measure(up: Up, provider: ScriptedProvider) -> None:
    temporal = up.temporal()
    assert temporal is not None
    servers = {"holdfast": psutil.Process(up.process.pid), "temporal": temporal}
    print(HEADER)
    print((await _text_runs(up.place.url, servers)).row("create_and_run_poll, one after another"))
    beside = await _runs_beside_waiting(up.place.url, provider, servers)
    print(beside.row(f"create_and_run_poll, beside {WAITING} that wait"))
    seconds = sorted(await _cancels(up.place.url, provider))
    print(f"\ncancel to dropped model call: median {seconds[CANCELS // 2]:.2f} s, longest {seconds[-1]:.2f} s")


async def _text_runs(url: str, servers: dict[str, psutil.Process]) -> Measured:
    """Create a thread and a run, poll it to its end as the SDK does."""
    async with client_of(url, 1) as client:
        assistant = await client.beta.assistants.create(model=SCRIPTED_MODEL)

        async def run() -> None:
            done = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=THREAD)
            assert done.status == "completed"

        return await measure(run, RUNS, 1, servers)


async def _runs_beside_waiting(url: str, provider: ScriptedProvider, servers: dict[str, psutil.Process]) -> Measured:
    """`_text_runs` while clients poll runs whose model has begun to answer and stalls."""
    provider.script("hangs", *[Hangs(after="Well, let me see")] * WAITING)
    async with client_of(url, WAITING) as client:
        assistant = await client.beta.assistants.create(model="hangs")
        polling = [
            asyncio.create_task(client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=THREAD))
            for _ in range(WAITING)
        ]
        while len(provider.requests("hangs")) < WAITING:
            await asyncio.sleep(0.1)
        measured = await _text_runs(url, servers)
        for poll in polling:
            poll.cancel()
        await asyncio.wait(polling)
    return measured


async def _cancels(url: str, provider: ScriptedProvider) -> list[float]:
    """Seconds from a cancel call until the provider's connection is closed."""
    async with client_of(url, 1) as client:
        return [await _cancel(client, provider, f"cancel-{number}") for number in range(CANCELS)]


async def _cancel(client: AsyncOpenAI, provider: ScriptedProvider, model: str) -> float:
    provider.script(model, Hangs(after="Well, let me see"))
    assistant = await client.beta.assistants.create(model=model)
    run = await client.beta.threads.create_and_run(assistant_id=assistant.id, thread=THREAD)
    await provider.requested(model)
    began = time.perf_counter()
    await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await provider.disconnected(model)
    return time.perf_counter() - began
