"""Work that is not to be left half done."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

from infra import background
from infra.background import Result, shielded, shielded_until_done


async def cancelled(call: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """A call that has begun and is cancelled, which it has not heard of yet."""
    caller = asyncio.create_task(call)
    await asyncio.sleep(0)
    caller.cancel()
    return caller


async def test_a_cancellation_waits_for_what_is_not_to_be_cut_off() -> None:
    may_end, is_done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await may_end.wait()
        is_done.set()

    caller = await cancelled(shielded(work()))
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert is_done.is_set()


async def test_what_does_not_end_is_cut_off_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", timedelta(milliseconds=50))
    is_cut_off = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_cut_off.set()

    caller = await cancelled(shielded(work()))

    with pytest.raises(asyncio.CancelledError):
        await caller
    await is_cut_off.wait()


async def test_what_was_done_is_known_to_a_caller_that_is_cancelled() -> None:
    may_end = asyncio.Event()

    async def work() -> str:
        await may_end.wait()
        return "done"

    caller = await cancelled(shielded_until_done(work()))
    may_end.set()

    assert await caller == "done"


async def test_a_cancelled_caller_whose_work_fails_is_cancelled() -> None:
    may_end = asyncio.Event()

    async def work() -> None:
        await may_end.wait()
        raise InterruptedError

    caller = await cancelled(shielded_until_done(work()))
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_an_error_is_raised() -> None:
    async def work() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await shielded_until_done(work())
