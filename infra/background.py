"""Work that runs beside a block of code, or goes on when its caller is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

Result = TypeVar("Result")

PATIENCE = timedelta(seconds=30)
"""How long the work of a cancelled caller may take: longer than any transaction of a database that answers."""


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


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of `work` at once. Where one fails, the others are cancelled and its error is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for each in work:
                tasks.create_task(each)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def shielded_until_done(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns, also where the caller is cancelled meanwhile: the cancellation came too late.

    Raises the cancellation where the work fails.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if await _succeeds(task):
            return task.result()
        raise


async def in_time(work: Coroutine[Any, Any, Result], limit: timedelta) -> Result:
    """The result of `work`. Raises `TimeoutError` where it takes longer than `limit`; the work goes on to its end."""
    task = asyncio.create_task(work)
    await asyncio.wait([task], timeout=limit.total_seconds())
    if not task.done():
        task.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise TimeoutError(f"nothing within {limit.total_seconds():g} s")
    return task.result()


async def _succeeds(task: asyncio.Task[Any]) -> bool:
    await asyncio.wait([task], timeout=PATIENCE.total_seconds())
    if not task.done():
        task.cancel()
        return False
    return not task.cancelled() and task.exception() is None
