"""Heartbeats beside a long activity: they show Temporal that it is alive, and their responses carry cancellations."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity

# A cancellation arrives with the response to the next heartbeat, and has to reach the model call within a second.
HEARTBEAT_INTERVAL = timedelta(seconds=0.6)


@asynccontextmanager
async def heartbeating(progress: Callable[[], Sequence[Any]] = tuple) -> AsyncIterator[None]:
    """Send heartbeats in the background while the block runs, whatever it waits for.

    The next attempt finds what `progress` last returned in its `heartbeat_details`.
    """
    beating = asyncio.create_task(_beat(progress))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(progress: Callable[[], Sequence[Any]]) -> None:
    while True:
        # Wait first: most turns of a fast model need no heartbeat.
        await asyncio.sleep(HEARTBEAT_INTERVAL.total_seconds())
        activity.heartbeat(*progress())
