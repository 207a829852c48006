"""Traces by OpenTelemetry: on if the standard `OTEL_*` variables name a collector; otherwise nothing is loaded."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer
    from temporalio.client import Interceptor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE_NAME = "holdfast"
# An unreachable collector must not delay the program's end by the exporter's own retries.
LAST_EXPORT_TIMEOUT = timedelta(seconds=3)


@dataclass(frozen=True)
class Tracing:
    """The tracer of spans. `interceptor` carries a trace through Temporal, from the request to the activity."""

    tracer: "Tracer"
    interceptor: "Interceptor"


def is_tracing_on() -> bool:
    """Whether the environment names a collector and does not switch traces off."""
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    goes_nowhere = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return any(map(os.environ.get, ENDPOINTS)) and not is_disabled and not goes_nowhere


@asynccontextmanager
async def open_tracing() -> AsyncIterator[Tracing | None]:
    """Send spans by OTLP over HTTP to the collector that `OTEL_*` names; None if tracing is off."""
    if not is_tracing_on():
        yield None
        return
    # The SDK is slow to import, and needed only for tracing.
    from temporalio.contrib.opentelemetry import TracingInterceptor

    from infra.span_export import create_tracer_provider

    provider = create_tracer_provider(SERVICE_NAME)
    try:
        # Not the global provider: spans of litellm or another library may contain messages.
        yield Tracing(provider.get_tracer(SERVICE_NAME), TracingInterceptor(provider.get_tracer("temporalio")))
    finally:
        last_export = threading.Thread(target=provider.shutdown, daemon=True)
        last_export.start()
        await asyncio.to_thread(last_export.join, LAST_EXPORT_TIMEOUT.total_seconds())
