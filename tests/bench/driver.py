"""The clients of one measurement, a process of their own: `python -m tests.bench.driver URL LOAD`.

Each client is a plain httpx client with a connection of its own. The SDK would cost more CPU than the server: it builds
a model of every answer. Its requests are the same.
"""

import asyncio
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvloop

from tests.bench.loads import POLL_SECONDS, Flow, Load, Observed
from tests.holdfast import function_tool

TIMEOUT_SECONDS = 60
MESSAGE = {"role": "user", "content": "Hello there"}
LONG_POLL = {"X-Stainless-Poll-Helper": "true"}
POLL_AFTER = "openai-poll-after-ms"
FIRST_DELTA = {Flow.STREAM: b"event: thread.message.delta", Flow.MODEL_STREAM: b'"content"'}


class RunNotCompleted(Exception):
    pass


@dataclass
class Client:
    url: str
    load: Load
    assistant_id: str
    runs: list[float] = field(default_factory=list)
    first_deltas: list[float] = field(default_factory=list)

    async def work(self, until: float) -> None:
        """Execute runs one after another until a time of the monotonic clock."""
        async with self._connection() as self._http:
            while time.monotonic() < until and len(self.runs) < self.load.runs_each:
                await self._one()

    async def one(self) -> None:
        async with self._connection() as self._http:
            await self._one()

    def _connection(self) -> httpx.AsyncClient:
        headers = LONG_POLL if self.load.flow is Flow.LONG_POLLS else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    async def _one(self) -> None:
        match self.load.flow:
            case Flow.MODEL_STREAM:
                body = {"model": self.load.model, "stream": True, "messages": [MESSAGE]}
                await self._stream("/chat/completions", body)
            case Flow.STREAM:
                thread_id = await self._thread()
                await self._stream(f"/threads/{thread_id}/runs", {"assistant_id": self.assistant_id, "stream": True})
            case _:
                await self._polled_run()

    async def _polled_run(self) -> None:
        thread_id = await self._thread()
        began = time.monotonic()
        run = await self._post(f"/threads/{thread_id}/runs", {"assistant_id": self.assistant_id})
        path = f"/threads/{thread_id}/runs/{run['id']}"
        run = await self._until_stopped(path)
        if self.load.flow is Flow.TOOL_CALL:
            calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
            outputs = [{"tool_call_id": call["id"], "output": "sunny"} for call in calls]
            await self._post(f"{path}/submit_tool_outputs", {"tool_outputs": outputs})
            run = await self._until_stopped(path)
        if run["status"] != "completed":
            raise RunNotCompleted(run["status"], run["last_error"])
        self.runs.append(time.monotonic() - began)

    async def _stream(self, path: str, body: dict[str, Any]) -> None:
        began = time.monotonic()
        received = bytearray()
        first_delta = 0.0
        async with self._http.stream("POST", path, json=body) as response:
            async for data in response.aiter_raw():
                if not first_delta:
                    received += data
                    first_delta = time.monotonic() if FIRST_DELTA[self.load.flow] in received else 0.0
                last = data
        if not first_delta or b"[DONE]" not in last:
            raise RunNotCompleted(bytes(received))
        self.first_deltas.append(first_delta - began)
        self.runs.append(time.monotonic() - began)

    async def _thread(self) -> str:
        thread = await self._post("/threads", {})
        await self._post(f"/threads/{thread['id']}/messages", MESSAGE)
        return str(thread["id"])

    async def _until_stopped(self, path: str) -> dict[str, Any]:
        """Poll a run until it has ended or asks for tool outputs."""
        while True:
            response = (await self._http.get(path)).raise_for_status()
            run: dict[str, Any] = response.json()
            if run["status"] not in ("queued", "in_progress"):
                return run
            is_long = self.load.flow is Flow.LONG_POLLS
            await asyncio.sleep(int(response.headers[POLL_AFTER]) / 1000 if is_long else POLL_SECONDS)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = (await self._http.post(path, json=body)).raise_for_status().json()
        return answer


async def drive(url: str, load: Load) -> Observed:
    assistant_id = "" if load.flow is Flow.MODEL_STREAM else await _assistant(url, load)
    clients = [Client(url, load, assistant_id) for _ in range(load.clients)]
    await asyncio.gather(*(Client(url, load, assistant_id).one() for _ in range(load.warm_up_runs)))
    began = time.monotonic()
    await asyncio.gather(*(client.work(began + load.seconds) for client in clients))
    elapsed = time.monotonic() - began
    runs = [seconds for client in clients for seconds in client.runs]
    return Observed(runs, [seconds for client in clients for seconds in client.first_deltas], elapsed)


async def _assistant(url: str, load: Load) -> str:
    tools = [function_tool("get_weather")] if load.flow is Flow.TOOL_CALL else []
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        created = await http.post("/assistants", json={"model": load.model, "tools": tools})
        return str(created.raise_for_status().json()["id"])


if __name__ == "__main__":
    print(uvloop.run(drive(sys.argv[1], Load.from_json(sys.argv[2]))).to_json())
