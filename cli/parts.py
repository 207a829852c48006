"""The parts of `holdfast up`: processes that are started, watched, started again when they die, and ended with it."""

import asyncio
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from cli.output import say
from cli.tied_to_parent import OUTLIVES_SIGTERM, tie
from infra.background import beside, together
from infra.errors import StartFailed

READY = "is ready"
START_TIMEOUT = timedelta(minutes=2)
STOP_TIMEOUT = timedelta(seconds=7)
"""Longer than an API or a worker takes for its graceful stop, so that `holdfast up` has ended after 10 s."""

FIRST_RESTART_DELAY = timedelta(seconds=0.5)
"""After the second death in a row. After the first there is none: what a worker held waits for the next one."""
MAX_RESTART_DELAY = timedelta(seconds=30)
STABLE_AFTER = timedelta(minutes=1)
MAX_DEATHS = 10
"""In a row, each soon after its start: some 90 s, so that an outage of the database or of Temporal can pass."""

REFUSED = 1
"""The exit code of a program of ours that has said on stderr why it does not start."""

log = structlog.get_logger()


class PartFailed(StartFailed):
    """A part does not come up, or dies again and again."""


class StartRefused(Exception):
    """A part does not start, and has said why."""


async def says_ready(process: Process) -> None:
    """Return when the program has printed that it is ready, or has ended."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    while (line := await process.stdout.readline()) and READY not in line.decode(errors="replace"):
        pass


@dataclass
class Part:
    """A program in a process of its own. `is_up` returns when it serves, or has ended.

    `is_needed_to_the_end`: others use it until they have ended, and a SIGTERM for all processes must not end it before.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_up: Callable[[Process], Awaitable[None]] = says_ready
    is_needed_to_the_end: bool = False
    process: Process | None = field(default=None, init=False)

    async def start(self) -> None:
        """Return when the program serves. Raises `StartRefused`, `PartFailed`; then, too, `stop` ends it."""
        self.process = await self._spawn()
        try:
            async with asyncio.timeout(START_TIMEOUT.total_seconds()):
                await self.is_up(self.process)
        except TimeoutError as error:
            raise PartFailed(f"The {self.name} does not serve after {START_TIMEOUT.seconds} s.") from error
        # Where its output is at an end, the program is as well, or is about to be.
        if self.process.stdout and self.process.stdout.at_eof():
            await self.process.wait()
        if self.process.returncode is not None:
            raise self._not_started("ended before it served")

    async def run_to_end(self) -> None:
        """Return when the program has done its work. Raises `StartRefused`, `PartFailed`."""
        self.process = await self._spawn()
        try:
            if await self._ended(self.process) != 0:
                raise self._not_started("ended")
        finally:
            await self.stop()

    async def keep_running(self) -> None:
        """Start the program again whenever it dies. Raises `PartFailed` where that does not help."""
        deaths, began = 0, time.monotonic()
        while self.process:
            exit_code = await self._ended(self.process)
            deaths = 1 if time.monotonic() - began > STABLE_AFTER.total_seconds() else deaths + 1
            if deaths == MAX_DEATHS:
                raise self._failed(f"died {deaths} times in a row")
            delay = min(FIRST_RESTART_DELAY * 2 ** (deaths - 2), MAX_RESTART_DELAY) if deaths > 1 else timedelta()
            log.error("part.died", part=self.name, exit_code=exit_code, restart_in_seconds=delay.total_seconds())
            await asyncio.sleep(delay.total_seconds())
            began = time.monotonic()
            await self._restart()

    async def stop(self) -> None:
        """End the program, by force where it does not end in time."""
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.SIGINT if self.is_needed_to_the_end else signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT.total_seconds()):
                    await self._ended(self.process)
            except TimeoutError:
                log.warning("part.killed", part=self.name)
                self.process.kill()
                await self.process.wait()

    async def _restart(self) -> None:
        try:
            await self.start()
            log.info("part.restarted", part=self.name)
        except (StartRefused, PartFailed) as error:
            await self.stop()
            log.error("part.restart_failed", part=self.name, reason=str(error))

    async def _spawn(self) -> Process:
        before = tie(OUTLIVES_SIGTERM) if self.is_needed_to_the_end else tie()
        # A session of its own: Ctrl-C must reach only this process, which ends the others in their order.
        return await asyncio.create_subprocess_exec(
            *before, *self.command, env=dict(self.environment), stdin=DEVNULL, stdout=PIPE, start_new_session=True
        )

    async def _ended(self, process: Process) -> int:
        """Pass on the program's output until its end. Returns its exit code."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while line := await process.stdout.readline():
            say(line.decode(errors="replace").rstrip("\n"))
        return await process.wait()

    def _not_started(self, how: str) -> Exception:
        code = self.process.returncode if self.process else None
        return StartRefused() if code == REFUSED else self._failed(how)

    def _failed(self, how: str) -> PartFailed:
        code = self.process.returncode if self.process else None
        return PartFailed(f"The {self.name} {how}, with exit code {code}. Look into its log lines above.")


@asynccontextmanager
async def running(first: Part, *others: Part) -> AsyncIterator[None]:
    """Run the parts while the block runs. Raises `StartRefused`, `PartFailed`.

    The others start once the first one serves: where the settings are wrong, one process says so, and not all of them.
    """
    parts = (first, *others)
    try:
        await first.start()
        await together(*(part.start() for part in others))
        async with beside(_keep_running(parts)):
            yield
    finally:
        await together(*(part.stop() for part in parts))


async def _keep_running(parts: Sequence[Part]) -> None:
    await together(*(part.keep_running() for part in parts))
