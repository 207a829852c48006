"""The processes that a Holdfast is made of, each to be killed, frozen and started again. They die with this process."""

import asyncio
from typing import Protocol

import psutil

from tests.chaos.patience import until
from tests.cli.program import command_line
from tests.postgres.server import PostgresServer
from tests.program import Answers, Program


class Part(Protocol):
    name: str

    @property
    def is_alive(self) -> bool: ...

    async def start(self) -> None:
        """Return when it serves."""
        ...

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        ...

    def kill(self) -> None:
        """End it without a word, and wait until it is gone."""
        ...


class Freezable(Part, Protocol):
    def freeze(self) -> None:
        """Suspend it (SIGSTOP); it keeps its connections."""
        ...

    def thaw(self) -> None: ...


class Child:
    """A process that `holdfast up` starts, and starts again by itself. `mark` is in its command line alone."""

    is_alive = False

    def __init__(self, name: str, up: Program, mark: str, answers: Answers) -> None:
        self.name = name
        self._up = up
        self._mark = mark
        self._answers = answers

    async def start(self) -> None:
        await until(self._answers, f"holdfast does not bring {self.name} back")

    async def stop(self) -> None:
        for process in self._processes():
            process.terminate()
            await asyncio.to_thread(process.wait)

    def kill(self) -> None:
        for process in self._processes():
            process.kill()
            process.wait()

    def freeze(self) -> None:
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        if not self._up.is_alive or self._up.process is None:
            return []
        children = psutil.Process(self._up.process.pid).children(recursive=True)
        return [process for process in children if self._mark in command_line(process)]


class EmbeddedSandbox:
    """The sandbox that `holdfast up` starts, and starts again by itself."""

    name = "sandbox"
    is_alive = False

    def __init__(self, up: Program, answers: Answers) -> None:
        self._up = up
        self._answers = answers

    async def start(self) -> None:
        await until(self._answers, "holdfast does not bring the sandbox back")

    async def stop(self) -> None:
        for process in self._processes():
            process.terminate()
            await asyncio.to_thread(process.wait)

    def kill(self) -> None:
        for process in self._processes():
            process.kill()
            process.wait()

    def _processes(self) -> list[psutil.Process]:
        if not self._up.is_alive or self._up.process is None:
            return []
        children = psutil.Process(self._up.process.pid).children(recursive=True)
        return [process for process in children if {"cli.main", "sandbox"} <= set(command_line(process))]


class Postgres:
    """Other processes wait for a lock instead, so it is never frozen."""

    name = "postgres"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.is_alive = True

    async def start(self) -> None:
        # In this thread, as above; it is there within a second.
        self._server.start()
        self.is_alive = True

    async def stop(self) -> None:
        self.is_alive = False
        await asyncio.to_thread(self._server.stop)

    def kill(self) -> None:
        self.is_alive = False
        self._server.crash()
