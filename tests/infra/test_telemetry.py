"""Shutdown of tracing with a collector that never answers."""

import socket
import time

import pytest

from infra.telemetry import LAST_EXPORT_TIMEOUT, open_tracing


@pytest.mark.slow
async def test_unreachable_collector_does_not_delay_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with open_tracing() as tracing:
            assert tracing is not None
            tracing.tracer.start_span("left over").end()
            left_at = time.monotonic()

    assert time.monotonic() - left_at < 2 * LAST_EXPORT_TIMEOUT.total_seconds()
