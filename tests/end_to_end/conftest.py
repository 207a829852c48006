from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.holdfast import RunningHoldfast, running_holdfast
from tests.worker_process import worker_process


@pytest.fixture
async def apis(
    holdfast_apart: RunningHoldfast,
) -> AsyncIterator[tuple[RunningHoldfast, RunningHoldfast]]:
    """Two APIs, and two workers in processes of their own."""
    settings = holdfast_apart.resources.settings
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(running_holdfast(settings, with_worker=False))
        for name in ("first", "second"):
            await stack.enter_async_context(worker_process(settings, name))
        yield holdfast_apart, other
