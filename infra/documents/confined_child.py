"""Starts a child process that has nothing to lose, to read what anyone may have made.

It has an empty environment, a folder of its own, bounded memory, time, files and output, and no network where the
system allows that: see `confinement.py`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
# Isolated: neither the environment nor the current folder has a say in what is imported.
BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from importlib import import_module; "
    "import_module(sys.argv.pop(1)).main(sys.argv[1:])"
)

LINE_BYTES = 8 * 1024 * 1024


@asynccontextmanager
async def confined_child(
    module: str, arguments: Sequence[str], folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that calls `main(arguments)` of `module`. It is killed, with its children, where the block ends first.

    A line of its output may have `LINE_BYTES`.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        BOOT,
        str(CHECKOUT),
        module,
        *arguments,
        env={},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        limit=LINE_BYTES,
    )
    try:
        yield child
    finally:
        await _kill(child)


async def _kill(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.shield(child.wait())
