"""A server process that can be stopped, killed, frozen and started again. It ends with this process."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tests.cli.program import DEADLINE_SECONDS, ROOT
from tests.cli.warm_program import Process, started

POLL_SECONDS = 0.05
READY = "is ready"

Answers = Callable[[], Awaitable[bool]]


class Program:
    """A program that is started by a command. It is ready once it `answers`, or without that once it has printed so."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        answers: Answers | None = None,
        folder: Path = ROOT,
        patience_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._answers = answers or self._has_printed_ready
        self._folder = folder
        self._patience_seconds = patience_seconds
        self._log = log
        self._logged = 0
        self.process: Process | None = None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def start(self) -> None:
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        # From this thread: the child ends with the thread that starts it.
        self.process = started(self._command, self._environment, self._log, self._folder)
        await until(self._is_up, f"{self.name} does not serve", self._patience_seconds)

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
        assert self.is_alive, f"{self.name} ended: {self._printed()}"
        return await self._answers()

    async def _has_printed_ready(self) -> bool:
        return READY in self._printed()

    def _printed(self) -> str:
        return self._log.read_bytes()[self._logged :].decode(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self.is_alive and self.process is not None:
            self.process.send_signal(number)


async def until(
    condition: Callable[[], Awaitable[bool]], otherwise: str, within_seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait for a state. Raises `AssertionError` if it is not reached."""
    try:
        async with asyncio.timeout(within_seconds):
            while not await condition():
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(otherwise) from None
