"""The sandbox of `holdfast up`: a process on a socket that only this user can reach, with its own settings alone."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import structlog

from cli.parts import Part, PartFailed, StartRefused, running
from infra.background import beside
from infra.settings import Settings

RETRY_INTERVAL = timedelta(minutes=1)
KNOWN = ("sandbox_", "log_")
UNKNOWN = ("sandbox_url", "sandbox_token", "sandbox_listen")
CODE = Path(__file__).parents[1]

log = structlog.get_logger()


@asynccontextmanager
async def running_sandbox(settings: Settings, command: Callable[..., list[str]]) -> AsyncIterator[str]:
    """Run it while the block runs, and install its packages beside. Yields its URL. Raises `PartFailed`."""
    with tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True) as place:
        listen = f"unix://{Path(place) / 'sandbox.sock'}"
        arguments = command("sandbox", "--stop-with-parent", str(os.getpid()))
        part = Part("sandbox", arguments, {**_known(settings), "HOLDFAST_SANDBOX_LISTEN": listen})
        async with beside(_install_packages(command("sandbox-packages"))), running(part):
            yield listen


def _known(settings: Settings) -> Mapping[str, str]:
    values = settings.model_dump(mode="json", exclude_none=True, exclude={*UNKNOWN})
    own = {f"HOLDFAST_{name.upper()}": str(value) for name, value in values.items() if name.startswith(KNOWN)}
    # As the rest of the program runs from an environment or from a checkout.
    return own | {"PYTHONPATH": os.pathsep.join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])])}


async def _install_packages(command: list[str]) -> None:
    if sys.platform != "linux":
        return
    while True:
        try:
            # With the whole environment: it may name the package index, and the way to it.
            await Part("installation of packages", command, _environment()).run_to_end()
        except (StartRefused, PartFailed):
            log.error("sandbox.packages_failed", retry_in_seconds=RETRY_INTERVAL.total_seconds())
            await asyncio.sleep(RETRY_INTERVAL.total_seconds())
        else:
            return


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])])}
