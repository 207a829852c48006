"""The server that the console's tests share: `holdfast up` as a process, with a project for each test."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.cli.program import HOLDFAST, Place, Up
from tests.provider.scripted_provider import ScriptedProvider

PROJECTS = 100
OPERATOR_KEY = "sk-operator"


class ConsoleServer:
    """Can be killed and started again at the same place."""

    def __init__(self, folder: Path, provider: ScriptedProvider, **settings: str) -> None:
        self._place = Place.new(folder)
        self._keys = iter([f"sk-{number}" for number in range(PROJECTS)])
        self._settings = {
            "HOLDFAST_MODELS": str(provider.models_file(folder)),
            "HOLDFAST_API_KEYS": ",".join(f"sk-{number}=project-{number}" for number in range(PROJECTS)),
            "HOLDFAST_OPERATOR_KEYS": OPERATOR_KEY,
            "HOLDFAST_WORKERS": "1",
            **settings,
        }
        self._up = self._started()

    @property
    def url(self) -> str:
        return self._place.url

    @property
    def port(self) -> int:
        return self._place.port

    def api(self) -> psutil.Process:
        api = self._up.api()
        assert api is not None
        return api

    def new_project(self) -> "Project":
        return Project(self.url, next(self._keys))

    def kill(self) -> None:
        """`kill -9` of every process: API, worker, Temporal, Valkey."""
        processes = self._up.all_processes()
        os.killpg(self._up.process.pid, signal.SIGKILL)
        for process in processes:
            if process.is_running():
                process.kill()
        self._up.process.wait()

    def start(self) -> None:
        self._up = self._started()
        self._up.ready()

    def ready(self) -> None:
        self._up.ready()

    def _started(self) -> Up:
        return Up(self._place, (*HOLDFAST, "up"), **self._settings)


class Project:
    """The API as another program of the same project uses it."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        self._http = httpx.AsyncClient(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30)

    async def get(self, path: str) -> Any:
        return (await self._http.get(path)).raise_for_status().json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self._http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def assistant(self, model: str, *functions: str, **fields: Any) -> Any:
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
        made = [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in functions]
        tools = [*made, *fields.pop("tools", [])]
        return await self.post("/assistants", model=model, **{"name": "Helper", **fields}, tools=tools)

    async def run(self, assistant: Any, content: str = "Hello", **thread: Any) -> Any:
        """On a new thread."""
        messages = [{"role": "user", "content": content}]
        return await self.post("/threads/runs", assistant_id=assistant["id"], thread={"messages": messages, **thread})

    async def until(self, run: Any, *statuses: str) -> Any:
        async with asyncio.timeout(30):
            while True:
                found = await self.get(f"/threads/{run['thread_id']}/runs/{run['id']}")
                if found["status"] in statuses:
                    return found
                await asyncio.sleep(0.05)

    async def file(self, name: str, content: bytes, purpose: str = "assistants") -> Any:
        answer = await self._http.post("/files", data={"purpose": purpose}, files={"file": (name, content)})
        assert answer.is_success, answer.text
        return answer.json()

    async def store(self, name: str, *files: Any) -> Any:
        """With all its files searchable."""
        store = await self.post("/vector_stores", name=name, file_ids=[file["id"] for file in files])
        async with asyncio.timeout(60):
            while store["file_counts"]["completed"] < len(files):
                await asyncio.sleep(0.05)
                store = await self.get(f"/vector_stores/{store['id']}")
        return store

    async def close(self) -> None:
        await self._http.aclose()


@contextmanager
def running_server(folder: Path, provider: ScriptedProvider, **settings: str) -> Iterator[ConsoleServer]:
    server = ConsoleServer(folder, provider, **settings)
    try:
        server.ready()
        yield server
    finally:
        server.kill()
