"""One sandbox for what `CodeSandbox` promises."""

from collections.abc import AsyncIterator

import pytest

from models.code_cells import SandboxSession
from tests.sandbox_process import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[RunningSandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def session(sandbox: RunningSandbox) -> AsyncIterator[SandboxSession]:
    opened = await sandbox.session()
    yield opened
    await sandbox.client.close(opened)
