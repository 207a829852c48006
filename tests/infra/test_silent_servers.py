"""A server that accepts connections and sends nothing is reported as unreachable, in one line."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from infra import temporal
from infra.errors import ConnectionFailed
from infra.event_stream import redis_streams
from infra.event_stream.redis_streams import open_redis_event_stream
from infra.settings import Settings
from infra.temporal import connect_temporal

SHORTLY = timedelta(seconds=0.2)


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_silent_temporal_is_reported(silent_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    monkeypatch.setattr(temporal, "CONNECT_TIMEOUT", SHORTLY)

    with pytest.raises(ConnectionFailed, match=r"does not answer: no answer within 10 s. Start it"):
        await connect_temporal(Settings(temporal_port=silent_port))


async def test_silent_redis_is_reported(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_streams, "CONNECT_TIMEOUT", SHORTLY)

    with pytest.raises(ConnectionFailed, match=r"Redis does not answer: no answer within 5 s. Start it"):
        async with open_redis_event_stream(f"redis://127.0.0.1:{silent_port}/0", timedelta(seconds=1)):
            pass
