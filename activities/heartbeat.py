"""Heartbeats beside a long activity: they show Temporal that it is alive, and their responses carry cancellations."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any

from temporalio import activity

# A cancellation arrives with the response to the next heartbeat, and has to reach the model call within a second.
HEARTBEAT_INTERVAL = timedelta(seconds=0.6)

# Temporal has a cancel some tens of milliseconds after its announcement; on a busy machine, where it takes longer, the
# next heartbeat brings it.
AFTER_NEWS = timedelta(seconds=0.25)

# Each heartbeat takes 2 ms of CPU, most of it Temporal's. Not longer than half of `takeovers.SILENT_FOR`, after which
# an activity counts as lost.
CALM_INTERVAL = timedelta(seconds=1.5)


@asynccontextmanager
async def heartbeating(
    progress: Callable[[], Sequence[Any]] = tuple,
    awaiting: AbstractContextManager[asyncio.Future[None] | None] | None = None,
) -> AsyncIterator[None]:
    """Send heartbeats in the background while the block runs, whatever it waits for.

    The next attempt finds what `progress` last returned in its `heartbeat_details`. With `awaiting`, which is that of
    the run's event stream and announces a cancel, they are more seldom until there is news.
    """
    beating = asyncio.create_task(_beat(progress, awaiting or nullcontext()))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(
    progress: Callable[[], Sequence[Any]], awaiting: AbstractContextManager[asyncio.Future[None] | None]
) -> None:
    # Wait first: most turns of a fast model need no heartbeat.
    with awaiting as news:
        while news and not (await asyncio.wait({news}, timeout=CALM_INTERVAL.total_seconds()))[0]:
            activity.heartbeat(*progress())
    if news:
        await asyncio.sleep(AFTER_NEWS.total_seconds())
        activity.heartbeat(*progress())
    while True:
        await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())
        activity.heartbeat(*progress())
