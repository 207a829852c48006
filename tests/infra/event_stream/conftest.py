from collections.abc import AsyncIterator

import pytest

from infra.ports import EventStream
from infra.resources import open_event_stream
from infra.settings import Settings
from tests.valkey import ValkeyServer


@pytest.fixture(params=["in_process", "redis"])
async def stream(request: pytest.FixtureRequest) -> AsyncIterator[EventStream]:
    """Every implementation of the port."""
    valkey: ValkeyServer | None = request.getfixturevalue("valkey") if request.param == "redis" else None
    settings = Settings(_env_file=None, event_stream_url=valkey.url if valkey else "", event_retention_seconds=60)
    async with open_event_stream(settings) as opened:
        yield opened
