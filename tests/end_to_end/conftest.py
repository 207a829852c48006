from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from infra.resources import open_resources
from tests.holdfast import RunningHoldfast, running_holdfast
from workflows.worker import open_worker


@pytest.fixture
async def apis(
    holdfast_apart: RunningHoldfast,
) -> AsyncIterator[tuple[RunningHoldfast, RunningHoldfast]]:
    """Two APIs and two workers, which share only the database, Temporal and Redis."""
    settings = holdfast_apart.resources.settings
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(running_holdfast(settings, with_worker=False))
        for _ in range(2):
            resources = await stack.enter_async_context(open_resources(settings))
            await stack.enter_async_context(open_worker(resources))
        yield holdfast_apart, other
