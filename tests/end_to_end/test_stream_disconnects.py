"""Clients that disconnect during a stream."""

import asyncio
import logging

import pytest

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Hangs
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import following
from tests.streams import begun, events_url

pytestmark = pytest.mark.any_database


async def test_disconnect_of_reader_is_no_error(
    holdfast: RunningHoldfast, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.script("gone-reader", Hangs("Once upon"))
    run = await begun(holdfast, await holdfast.assistant("gone-reader"))
    before = asyncio.all_tasks()
    with caplog.at_level(logging.INFO):
        async with following(events_url(holdfast, run)) as stream:
            async for event in stream:
                if event.name == "thread.message.delta" and "upon" in event.data:
                    break
        serving = [task for task in asyncio.all_tasks() - before if "run_asgi" in repr(task)]
        if serving:
            await asyncio.wait(serving, timeout=10)

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
