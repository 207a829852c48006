"""The sandbox of `holdfast up`: a process on a socket that only this user can reach, with its own settings alone."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from cli.parts import Part, PartFailed, StartRefused
from infra.background import beside
from infra.removed_at_end import removed_at_end
from infra.settings import Settings

RETRY_INTERVAL = timedelta(minutes=1)
KNOWN = ("sandbox_", "log_")
UNKNOWN = ("sandbox_url", "sandbox_token", "sandbox_listen")

log = structlog.get_logger()


@dataclass(frozen=True)
class SandboxParts:
    """`url` is where API and workers find it; `parts` are what has to run for that."""

    url: str
    parts: tuple[Part, ...] = ()


@asynccontextmanager
async def prepared_sandbox(
    settings: Settings, command: Callable[..., list[str]], python_path: str
) -> AsyncIterator[SandboxParts]:
    """A sandbox for the caller to run while the block runs; its packages are installed beside."""
    if settings.sandbox_url:
        yield SandboxParts(settings.sandbox_url)
        return
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True) as place,
        removed_at_end(Path(place)),
    ):
        url = f"unix://{Path(place) / 'sandbox.sock'}"
        known = {**_known(settings), "HOLDFAST_SANDBOX_LISTEN": url, "PYTHONPATH": python_path}
        part = Part("sandbox", command("sandbox", "--stop-with-parent", str(os.getpid())), known)
        # With the whole environment: it may name the package index, and the way to it.
        installing = Part("packages", command("sandbox-packages"), {**os.environ, "PYTHONPATH": python_path})
        async with beside(install(installing)):
            yield SandboxParts(url, (part,))


def _known(settings: Settings) -> Mapping[str, str]:
    values = settings.model_dump(mode="json", exclude_none=True, exclude={*UNKNOWN})
    return {f"HOLDFAST_{name.upper()}": str(value) for name, value in values.items() if name.startswith(KNOWN)}


async def install(packages: Part) -> None:
    """Run the installation until it has succeeded."""
    while sys.platform == "linux":
        try:
            await packages.run_to_end()
        except (StartRefused, PartFailed):
            # systemd ends every process of a service at once, by SIGTERM: this one is then about to stop as well.
            if packages.process is None or packages.process.returncode != -signal.SIGTERM:
                log.error("sandbox.packages_failed", retry_in_seconds=RETRY_INTERVAL.total_seconds())
            await asyncio.sleep(RETRY_INTERVAL.total_seconds())
        else:
            return
