"""All services, once for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.deployment.stack import Stack
from tests.provider.scripted_provider import ScriptedProvider, running_provider


@pytest.fixture(scope="package")
def models() -> Iterator[ScriptedProvider]:
    """Of its own: the tests' other one forgets now and then."""
    with running_provider() as running:
        yield running


@pytest.fixture(scope="package")
async def stack(models: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("deployed")
    async with Stack(folder, models.models_file(folder)).running() as running:
        yield running
