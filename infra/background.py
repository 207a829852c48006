"""Work that runs beside a block of code, or on where its caller is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


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


async def to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns, also where this is cancelled meanwhile: a commit is done or not, and to be known as such.

    Where `work` fails, a cancellation comes before its error.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.cancelled() or task.exception():
            raise
        return task.result()
