"""Work that runs beside a block of code."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` until the block ends. Where it fails before, the block is cancelled and the error raised."""
    block = asyncio.current_task()
    task = asyncio.create_task(work)

    def cancel_block(done: asyncio.Task[None]) -> None:
        if block and not done.cancelled() and done.exception():
            block.cancel()

    task.add_done_callback(cancel_block)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
