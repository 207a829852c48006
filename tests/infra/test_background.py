"""Work that is shielded from the cancellation of its caller."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

from infra import background
from infra.background import Result, shielded_until_done


async def cancelled(call: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """A started call whose cancellation is requested and not yet delivered."""
    caller = asyncio.create_task(call)
    await asyncio.sleep(0)
    caller.cancel()
    return caller


async def test_shielded_work_is_cancelled_after_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE", timedelta(milliseconds=50))
    is_cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()

    caller = await cancelled(shielded_until_done(work()))

    with pytest.raises(asyncio.CancelledError):
        await caller
    await is_cancelled.wait()


async def test_cancelled_caller_gets_result_of_completed_work() -> None:
    may_end = asyncio.Event()

    async def work() -> str:
        await may_end.wait()
        return "done"

    caller = await cancelled(shielded_until_done(work()))
    may_end.set()

    assert await caller == "done"


async def test_cancelled_caller_of_failed_work_is_cancelled() -> None:
    may_end = asyncio.Event()

    async def work() -> None:
        await may_end.wait()
        raise InterruptedError

    caller = await cancelled(shielded_until_done(work()))
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_error_of_work_is_raised() -> None:
    async def work() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await shielded_until_done(work())
