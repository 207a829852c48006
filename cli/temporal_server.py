"""The embedded Temporal server: the `temporal` program, started, watched and ended with `holdfast up`."""

import asyncio
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import structlog
from temporalio.client import Client

from cli.orphaned_server import end_orphan, record
from cli.ports import Address
from cli.temporal_command import HOST, temporal_command
from cli.tied_to_parent import tie
from infra.background import beside
from infra.errors import StartFailed
from infra.settings import Settings

# One that has not ended may only be slow, and to end it would not make it faster.
READY_TIMEOUT = timedelta(seconds=30)
READY_POLL_INTERVAL = timedelta(milliseconds=50)
# SIGKILL loses nothing: its SQLite is in WAL mode. See cli/parts.py for the time that a whole stop takes.
STOP_TIMEOUT = timedelta(seconds=2.5)
FIRST_RESTART_DELAY = timedelta(seconds=0.5)
# Nothing moves without it: to start in vain costs a second of CPU.
MAX_RESTART_DELAY = timedelta(seconds=5)
STABLE_AFTER = timedelta(seconds=10)

log = structlog.get_logger()


class TemporalServerFailed(StartFailed):
    """The embedded Temporal server does not come up."""


class TemporalServer:
    """The server on the database in `folder`, one process after the other. The caller holds the folder."""

    def __init__(self, folder: Path, port: int, ui_port: int) -> None:
        # Absolute, because the command line is how an orphan is recognised later.
        self._database = folder.resolve() / "temporal.db"
        self._pid_file = folder / "temporal.pid"
        self._log_file = folder / "temporal.log"
        self._port = port
        self._ui_port = ui_port
        self._process: Process | None = None
        self._is_stopping = False

    @classmethod
    def of(cls, settings: Settings) -> "TemporalServer":
        return cls(settings.data_dir, settings.temporal_port, settings.temporal_ui_port)

    @property
    def addresses(self) -> tuple[Address, Address]:
        return (
            Address("HOLDFAST_TEMPORAL_PORT", HOST, self._port),
            Address("HOLDFAST_TEMPORAL_UI_PORT", HOST, self._ui_port),
        )

    def end_orphan(self) -> None:
        """End the server that an unclean stop left running."""
        end_orphan(self._pid_file, self._database)

    async def start(self) -> None:
        """Return when the server answers. Raises `TemporalServerFailed`; then, too, `stop` ends what runs."""
        self._process = await self._spawn()
        record(self._pid_file, self._process.pid)
        try:
            async with asyncio.timeout(READY_TIMEOUT.total_seconds()):
                await self._until_it_answers(self._process)
        except TimeoutError as error:
            raise self._failed(f"does not answer after {READY_TIMEOUT.seconds} s") from error

    def note_stopping(self) -> None:
        """From now on it may end: systemd stops every process of a service at once, and Go takes no blocked SIGTERM."""
        self._is_stopping = True

    async def keep_running(self) -> None:
        """Start the server again whenever it has died, each time later unless it had been stable."""
        delay = FIRST_RESTART_DELAY
        while self._process:
            began = time.monotonic()
            exit_code = await self._process.wait()
            if self._is_stopping:
                return
            if time.monotonic() - began > STABLE_AFTER.total_seconds():
                delay = FIRST_RESTART_DELAY
            log.error("temporal.died", exit_code=exit_code, restart_in_seconds=delay.total_seconds())
            await asyncio.sleep(delay.total_seconds())
            delay = min(2 * delay, MAX_RESTART_DELAY)
            await self._restart()

    async def stop(self) -> None:
        """End the process, by force where it does not follow in time."""
        if self._process and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT.total_seconds())
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._pid_file.unlink(missing_ok=True)

    async def _restart(self) -> None:
        try:
            await self.start()
            log.info("temporal.restarted")
        except StartFailed as error:
            await self.stop()
            log.error("temporal.restart_failed", reason=str(error))

    async def _spawn(self) -> Process:
        command = temporal_command(self._database, *self.addresses)
        with self._new_log() as log_file:
            # A session of its own: Ctrl-C must not reach the server before the worker has drained.
            return await asyncio.create_subprocess_exec(
                *tie(), *command, stdin=DEVNULL, stdout=log_file, stderr=STDOUT, start_new_session=True
            )

    def _new_log(self) -> BinaryIO:
        if self._log_file.exists():
            self._log_file.replace(self._log_file.with_suffix(".log.1"))
        return self._log_file.open("wb")

    async def _until_it_answers(self, process: Process) -> None:
        while process.returncode is None:
            try:
                await Client.connect(f"{HOST}:{self._port}")
                return
            except RuntimeError:  # What the SDK raises where nobody listens yet.
                await asyncio.sleep(READY_POLL_INTERVAL.total_seconds())
        raise self._failed(f"ended with exit code {process.returncode}")

    def _failed(self, how: str) -> TemporalServerFailed:
        lines = self._log_file.read_text(errors="replace").splitlines()
        said = f' and said "{lines[-1]}"' if lines else ""
        return TemporalServerFailed(f"The embedded Temporal server {how}{said}. Look into {self._log_file.absolute()}.")


@asynccontextmanager
async def running(server: TemporalServer) -> AsyncIterator[None]:
    """Run `server` while the block runs, and start it again when it dies.

    Raises `TemporalServerFailed` where it does not come up at first.
    """
    try:
        await server.start()
        async with beside(server.keep_running()):
            yield
    finally:
        await server.stop()
