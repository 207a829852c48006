from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from infra.resources import open_resources
from tests.code_runs import IN_TEXT, coding_sandbox
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider
from tests.sandbox_process import RunningSandbox
from workflows.worker import open_worker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process of pytest-xdist starts the sandbox that tests share, which takes seconds."""
    for item in items:
        if "coder" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("coder"))


@pytest.fixture(scope="session")
async def coder(
    temporal_port: int, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHoldfast]:
    """API and worker with a sandbox, shared by all tests that do not stop them."""
    folder = tmp_path_factory.mktemp("coder")
    async with coding_sandbox() as (_, url):
        settings = settings_for(folder, temporal_port, provider, sandbox_url=url)
        provider.models_file(folder, provider.without_functions(IN_TEXT))
        async with running_holdfast(settings) as running:
            yield running


@pytest.fixture
async def own_coder(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> AsyncIterator[tuple[RunningHoldfast, RunningSandbox]]:
    """API, worker and sandbox for one test."""
    async with coding_sandbox() as (sandbox, url):
        settings = settings_for(tmp_path, temporal_port, provider, sandbox_url=url)
        async with running_holdfast(settings) as running:
            yield running, sandbox


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
