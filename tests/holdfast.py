"""Holdfast inside the test's own process: the real API over HTTP, and a worker that can be stopped and started."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import uvicorn
from openai import AsyncOpenAI
from openai.types.beta.threads import Run
from sqlalchemy import Connection, select

from api.app import create_app
from cli.api_server import KEEP_ALIVE
from cli.http_server import PlainHttp
from infra.database.run_tables import RUNS
from infra.resources import Resources, open_resources
from infra.settings import Settings
from tests.database import migrated_sqlite
from tests.sandbox import SANDBOXED
from workflows.worker import open_worker

POLL_INTERVAL_MS = 20


class RunningHoldfast:
    def __init__(self, resources: Resources, url: str) -> None:
        self.resources = resources
        self.url = url
        self.client = AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30)
        self._worker = AsyncExitStack()

    async def start_worker(self) -> None:
        await self._worker.enter_async_context(open_worker(self.resources, SANDBOXED))

    async def stop_worker(self) -> None:
        await self._worker.aclose()

    async def assistant(self, model: str, *functions: str, **fields: Any) -> str:
        """Create an assistant with function tools of these names. Returns its id."""
        tools = [function_tool(name) for name in functions]
        created = await self.client.beta.assistants.create(model=model, tools=tools, **fields)
        return created.id

    async def run(self, assistant_id: str, content: Any = "Hello", **fields: Any) -> Run:
        """Start a run on a new thread, with one user message unless `thread` is given."""
        thread: Any = fields.pop("thread", {"messages": [{"role": "user", "content": content}]})
        started = self.client.beta.threads.create_and_run
        return cast(Run, await started(assistant_id=assistant_id, thread=thread, **fields))

    async def until(self, run: Run, *statuses: str, timeout_seconds: float = 20) -> Run:
        """Wait until the run has one of `statuses`, by default an ended one or `requires_action`."""
        wanted = statuses or ("completed", "failed", "cancelled", "expired", "incomplete", "requires_action")
        async with asyncio.timeout(timeout_seconds):
            while True:
                # Not by requests alone: the many that this takes cost more than the run itself.
                if await self.resources.database.read(_status_of, run.id) in wanted:
                    found = await self.client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
                    if found.status in wanted:
                        return found
                await asyncio.sleep(POLL_INTERVAL_MS / 1000)

    async def submit(self, run: Run, *outputs: str, **fields: Any) -> Run:
        """Answer the run's calls in their order."""
        assert run.required_action is not None
        calls = run.required_action.submit_tool_outputs.tool_calls
        answers: Any = [{"tool_call_id": call.id, "output": o} for call, o in zip(calls, outputs, strict=True)]
        submit = self.client.beta.threads.runs.submit_tool_outputs
        answered: Run = await submit(run.id, thread_id=run.thread_id, tool_outputs=answers, **fields)
        return answered

    async def texts(self, run: Run) -> list[str]:
        """The texts of the thread's messages, oldest first."""
        page = await self.client.beta.threads.messages.list(run.thread_id, order="asc", limit=100)
        return [part.text.value for message in page.data for part in message.content if part.type == "text"]


def _status_of(connection: Connection, run_id: str) -> str | None:
    return connection.scalar(select(RUNS.c.status).where(RUNS.c.id == run_id))


def function_tool(name: str) -> Any:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"Calls {name}.", "parameters": parameters}}


@asynccontextmanager
async def running_holdfast(settings: Settings, with_worker: bool = True) -> AsyncIterator[RunningHoldfast]:
    """Create the SQLite database if it does not exist, open the resources of `settings`, and serve."""
    await asyncio.to_thread(_make_sqlite_database, settings)
    async with open_resources(settings) as resources, _serving(resources) as url:
        holdfast = RunningHoldfast(resources, url)
        if with_worker:
            await holdfast.start_worker()
        try:
            yield holdfast
        finally:
            await holdfast.client.close()
            await holdfast.stop_worker()


def _make_sqlite_database(settings: Settings) -> None:
    file = settings.data_dir / "holdfast.db"
    if not (settings.database_url or file.exists()):
        file.write_bytes(migrated_sqlite())


@asynccontextmanager
async def _serving(resources: Resources) -> AsyncIterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(resources),
            http=PlainHttp,
            ws="none",
            log_level="warning",
            # As in the program: uvicorn's own is httpx's too, so the server may close a connection as it is used.
            timeout_keep_alive=int(KEEP_ALIVE.total_seconds()),
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
