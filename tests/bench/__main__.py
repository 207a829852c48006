"""`make bench`: what runs cost, with models that answer at once, so that only Holdfast is measured.

With ARGS=streams: how quickly the model's chunks come through, and that each does. With ARGS=parked, which takes
minutes: what 10,000 runs cost that wait for tool outputs. With ARGS=models: what each adapter's calls of a model cost.

Compare rows of one call with each other, not with those of another machine or hour.
"""

import asyncio
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
from openai import AsyncOpenAI
from openai.types.beta.threads import Run

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.bench.growth import fill
from tests.bench.load import HEADER, Measured, client_of, measure
from tests.bench.models import measure_models
from tests.bench.parked import measure_parked
from tests.bench.streams import measure_streams
from tests.cli.program import Place, Up
from tests.holdfast import function_tool
from tests.provider.replies import Hangs
from tests.provider.scripted_provider import ScriptedProvider, running_provider

THREAD: Any = {"messages": [{"role": "user", "content": "Hello there"}]}
# As many messages as a page has, so that the empty case reads as many rows as the full one.
PAGE_FULL: Any = {"messages": THREAD["messages"] * 20}
CANCELS = 10
WAITING = 100
GROWTH_COUNT = 200


class Bench:
    def __init__(self, up: Up, provider: ScriptedProvider) -> None:
        self._url = up.place.url
        self._provider = provider
        self._database = up.place.data_dir / "holdfast.db"
        temporal = up.temporal()
        assert temporal is not None
        self._servers = {"holdfast": psutil.Process(up.process.pid), "temporal": temporal}

    async def text_runs(self, count: int, concurrent: int) -> Measured:
        """Create a thread and a run, poll it to its end as the SDK does."""
        async with client_of(self._url, concurrent) as client:
            assistant = await client.beta.assistants.create(model=SCRIPTED_MODEL)

            async def run() -> None:
                done = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=THREAD)
                assert done.status == "completed"

            return await measure(run, count, concurrent, self._servers)

    async def tool_runs(self, count: int, concurrent: int) -> Measured:
        """The same with a function call that is answered at once."""
        async with client_of(self._url, concurrent) as client:
            tools = [function_tool("get_weather")]
            assistant = await client.beta.assistants.create(model=SCRIPTED_MODEL, tools=tools)
            return await measure(lambda: _tool_run(client, assistant.id), count, concurrent, self._servers)

    async def runs_beside_waiting(self, count: int, waiting: int) -> Measured:
        """`text_runs`, one after another, while `waiting` clients poll runs whose model has begun and says no more."""
        self._provider.script("hangs", *[Hangs(after="Well, let me see")] * waiting)
        async with client_of(self._url, waiting) as client:
            assistant = await client.beta.assistants.create(model="hangs")
            polling = [
                asyncio.create_task(client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=THREAD))
                for _ in range(waiting)
            ]
            while len(self._provider.requests("hangs")) < waiting:
                await asyncio.sleep(0.1)
            measured = await self.text_runs(count, 1)
            for poll in polling:
                poll.cancel()
            await asyncio.wait(polling)
        return measured

    async def growth(self) -> list[str]:
        """The same operations in an empty project and in a full one, and the ratio of their medians."""
        async with client_of(self._url, 1) as client:
            done = await client.beta.threads.create_and_run_poll(
                assistant_id=await _assistant(client), thread=PAGE_FULL
            )
            operations = _operations(client, done)
            empty = [await measure(operation, GROWTH_COUNT, 1, {}) for operation in operations.values()]
            await asyncio.to_thread(fill, self._database, done.thread_id)
            full = [await measure(operation, GROWTH_COUNT, 1, {}) for operation in operations.values()]
        return [
            f"{name:<44} {before.percentile_ms(50):>8.1f} {after.percentile_ms(50):>8.1f} "
            f"{after.percentile_ms(50) / before.percentile_ms(50):>9.2f}"
            for name, before, after in zip(operations, empty, full, strict=True)
        ]

    async def cancels(self) -> list[float]:
        """Seconds from a cancel call to the moment at which the provider sees its connection dropped."""
        async with client_of(self._url, 1) as client:
            return [await self._cancel(client, f"cancel-{number}") for number in range(CANCELS)]

    async def _cancel(self, client: AsyncOpenAI, model: str) -> float:
        self._provider.script(model, Hangs(after="Well, let me see"))
        assistant = await client.beta.assistants.create(model=model)
        run = await client.beta.threads.create_and_run(assistant_id=assistant.id, thread=THREAD)
        await self._provider.requested(model)
        began = time.perf_counter()
        await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
        await self._provider.disconnected(model)
        return time.perf_counter() - began


def _operations(client: AsyncOpenAI, run: Run) -> dict[str, Callable[[], Awaitable[None]]]:
    """What must not become slower: reads of a long thread in a large project, and a run on it."""
    messages, runs = client.beta.threads.messages, client.beta.threads.runs

    def repeated(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
        async def once() -> None:
            await call()

        return once

    return {
        "retrieve run": repeated(lambda: runs.retrieve(run.id, thread_id=run.thread_id)),
        "list messages": repeated(lambda: messages.list(run.thread_id)),
        "list messages, oldest first": repeated(lambda: messages.list(run.thread_id, order="asc")),
        "list messages of a run": repeated(lambda: messages.list(run.thread_id, run_id=run.id)),
        "list runs of a thread": repeated(lambda: runs.list(run.thread_id)),
        "list all threads": repeated(lambda: client.get("/threads", cast_to=object)),
        "list all runs by status": repeated(lambda: client.get("/runs?status=completed", cast_to=object)),
        "create message": repeated(lambda: messages.create(run.thread_id, role="user", content="More")),
    }


async def _assistant(client: AsyncOpenAI) -> str:
    return (await client.beta.assistants.create(model=SCRIPTED_MODEL)).id


async def _tool_run(client: AsyncOpenAI, assistant_id: str) -> None:
    runs = client.beta.threads.runs
    run = await client.beta.threads.create_and_run_poll(assistant_id=assistant_id, thread=THREAD)
    assert run.required_action is not None
    outputs: Any = [
        {"tool_call_id": call.id, "output": "sunny"} for call in run.required_action.submit_tool_outputs.tool_calls
    ]
    run = await runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs)
    assert run.status == "completed"


async def _measure_all(bench: Bench) -> None:
    print(HEADER)
    print((await bench.text_runs(200, 1)).row("create_and_run_poll, one after another"))
    print((await bench.text_runs(300, 16)).row("create_and_run_poll, 16 at once"))
    print((await bench.tool_runs(100, 1)).row("function call round trip, one after another"))
    print((await bench.tool_runs(200, 16)).row("function call round trip, 16 at once"))
    print((await bench.runs_beside_waiting(100, WAITING)).row(f"create_and_run_poll, beside {WAITING} that wait"))
    seconds = sorted(await bench.cancels())
    print(f"\n{'':<44} {'empty ms':>8} {'full ms':>8} {'full/empty':>9}")
    print("\n".join(await bench.growth()))
    print(f"\ncancel to dropped model call: median {seconds[CANCELS // 2]:.2f} s, longest {seconds[-1]:.2f} s")


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    match names:
        case ["streams"]:
            measure_streams()
        case ["parked"]:
            measure_parked()
        case ["models"]:
            measure_models()
        case _:
            _measure_runs()


def _measure_runs() -> None:
    with tempfile.TemporaryDirectory() as folder, running_provider() as provider:
        place = Place.new(Path(folder))
        models = provider.models_file(Path(folder))
        up = Up(place, HOLDFAST_MODELS=str(models)).ready()
        try:
            asyncio.run(_measure_all(Bench(up, provider)))
        finally:
            up.interrupt()
            up.process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
