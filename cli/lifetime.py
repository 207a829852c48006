"""How long the program runs: until its work ends, a signal asks it to stop, or its parent is gone."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any, NoReturn

import psutil
import structlog
import uvloop

from infra.background import beside

PARENT_POLL_INTERVAL = timedelta(seconds=0.25)
# One Ctrl-C can arrive twice, from the terminal and from a program that passes it on.
FORCE_AFTER = timedelta(seconds=0.5)
FORCED_EXIT_CODE = 130

log = structlog.get_logger()


def run_until_stopped(
    work: Coroutine[Any, Any, None], parent: int | None = None, on_stop: Callable[[str], None] | None = None
) -> None:
    """Run `work`; on SIGINT, SIGTERM, or when `parent` is no longer our parent, cancel it and return when it has ended.

    `on_stop` is called first, with the reason; by default it is logged, unless the parent does that. A second SIGINT
    ends this process and all that it started at once.
    """
    uvloop.run(_run(work, parent, on_stop or (log_stop_of_part if parent else log_stop)))


def log_stop(reason: str) -> None:
    log.info("holdfast.stopping", reason=reason)


def log_stop_of_part(reason: str) -> None:
    # `holdfast up` has said so for all its parts.
    log.debug("holdfast.stopping", reason=reason)


async def _run(work: Coroutine[Any, Any, None], parent: int | None, on_stop: Callable[[str], None]) -> None:
    stop = _Stop(asyncio.create_task(work), on_stop)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop.request, "SIGTERM")
    async with beside(_watch(parent, stop)) if parent else nullcontext():
        await stop.completed()


class _Stop:
    """The end of `task`, asked for at most once."""

    def __init__(self, task: asyncio.Task[None], on_stop: Callable[[str], None]) -> None:
        self._task = task
        self._on_stop = on_stop
        self._requested_at: float | None = None

    def request(self, reason: str) -> None:
        if self._requested_at is None:
            self._requested_at = time.monotonic()
            self._on_stop(reason)
            self._task.cancel()

    def interrupt(self) -> None:
        if self._requested_at is not None and time.monotonic() - self._requested_at > FORCE_AFTER.total_seconds():
            end_at_once(FORCED_EXIT_CODE)
        self.request("SIGINT")

    async def completed(self) -> None:
        try:
            await self._task
        except asyncio.CancelledError:
            if self._requested_at is None:
                raise


async def _watch(parent: int, stop: _Stop) -> None:
    # Polled, and not by PR_SET_PDEATHSIG: this holds on every system, and a parent that died before us counts too.
    while os.getppid() == parent:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(PARENT_POLL_INTERVAL.total_seconds())
    stop.request("parent gone")


def end_at_once(exit_code: int) -> NoReturn:
    """End this process and all that it started, and clean nothing up."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    sys.stdout.flush()
    os._exit(exit_code)
