"""The processes that a Holdfast is made of, each to be killed, frozen and started again. They die with this process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from cli import tied_to_parent
from tests.cli.program import DEADLINE_SECONDS, ROOT, Place, command_line
from tests.postgres.server import PostgresServer

POLL_SECONDS = 0.05
READY = "is ready"

Answers = Callable[[], Awaitable[bool]]


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
        """Stop it where it stands; it keeps its connections."""
        ...

    def thaw(self) -> None: ...


class Program:
    """A program that is started with a command; it serves once it `answers`, or else has said that it is ready."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        answers: Answers | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._answers = answers or self._says_ready
        self._log = log
        self._logged = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def start(self) -> None:
        tie = (sys.executable, "-I", "-S", tied_to_parent.__file__, str(os.getpid()))
        with self._log.open("ab") as log:
            self._logged = log.tell()
            # From this thread: the kernel ends the child with the thread that began it.
            self.process = subprocess.Popen(  # noqa: ASYNC220
                [*tie, *self._command], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        await until(self._is_up, f"{self.name} does not serve")

    async def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            await asyncio.to_thread(self.process.wait)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def _is_up(self) -> bool:
        assert self.is_alive, f"{self.name} ended: {self._said()}"
        return await self._answers()

    async def _says_ready(self) -> bool:
        return READY in self._said()

    def _said(self) -> str:
        return self._log.read_bytes()[self._logged :].decode(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self.is_alive and self.process is not None:
            self.process.send_signal(number)


class EmbeddedTemporal:
    """The server that `holdfast up` starts, and starts again by itself."""

    name = "temporal"
    is_alive = False

    def __init__(self, up: Program, place: Place, answers: Answers) -> None:
        self._up = up
        self._database = str(place.data_dir / "temporal.db")
        self._answers = answers

    async def start(self) -> None:
        await until(self._answers, "holdfast does not bring Temporal back")

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
        return [process for process in children if self._database in command_line(process)]


class Postgres:
    """What is to wait for it waits for a lock, so it is never frozen."""

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


async def until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Wait for a state. Raises `AssertionError` where it does not come."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await condition():
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(otherwise) from None
