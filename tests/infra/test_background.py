"""Work that is not to be left half done."""

import asyncio

import pytest

from infra.background import to_its_end


async def test_what_was_done_is_known_to_a_caller_that_is_cancelled() -> None:
    may_end = asyncio.Event()

    async def work() -> str:
        await may_end.wait()
        return "done"

    caller = asyncio.create_task(to_its_end(work()))
    await asyncio.sleep(0)
    caller.cancel()
    may_end.set()

    assert await caller == "done"


async def test_a_cancelled_caller_whose_work_fails_is_cancelled() -> None:
    may_end = asyncio.Event()

    async def work() -> None:
        await may_end.wait()
        raise InterruptedError

    caller = asyncio.create_task(to_its_end(work()))
    await asyncio.sleep(0)
    caller.cancel()
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_an_error_is_raised() -> None:
    async def work() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await to_its_end(work())
