"""Measures server calls: a span around each, after OpenTelemetry's GenAI conventions, and its metrics. No content."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.trace import Span, Status, StatusCode, Tracer

from infra.database.outages import DatabaseUnavailable
from infra.metrics import Metrics
from infra.object_store.errors import ObjectStoreUnavailable
from infra.tools.errors import ToolNotReady, ToolUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from models.tool_calls import ToolKind

EXECUTE_TOOL = "execute_tool"
ANSWERED = "answered"
FAILED = "failed"
UNAVAILABLE = "unavailable"
POSTPONED = "postponed"
CUT_SHORT = "cut_short"

OUTAGES = (DatabaseUnavailable, ObjectStoreUnavailable, VectorIndexUnavailable)
"""What a tool lets through of the parts that it uses; Temporal repeats such an attempt."""


@dataclass(frozen=True)
class ToolObserver:
    metrics: Metrics
    tracer: Tracer | None = None

    @contextmanager
    def observing(self, kind: ToolKind, call_id: str) -> Iterator[None]:
        """Record the block, one attempt at a call, and its outcome."""
        began, outcome = time.perf_counter(), CUT_SHORT
        with self._span(kind, call_id) as span:
            try:
                yield
                outcome = ANSWERED
            except ToolNotReady:
                outcome = POSTPONED
                raise
            except Exception as error:
                outcome = UNAVAILABLE if isinstance(error, (ToolUnavailable, *OUTAGES)) else FAILED
                if span is not None:
                    span.set_attribute("error.type", type(error).__name__)
                    span.set_status(Status(StatusCode.ERROR))
                raise
            finally:
                self.metrics.tool_call_seconds.labels(kind.value, outcome).observe(time.perf_counter() - began)

    @contextmanager
    def _span(self, kind: ToolKind, call_id: str) -> Iterator[Span | None]:
        if self.tracer is None:
            yield None
            return
        attributes = {
            "gen_ai.operation.name": EXECUTE_TOOL,
            "gen_ai.tool.name": kind.value,
            "gen_ai.tool.call.id": call_id,
        }
        # The error's text could have content: only its type is recorded.
        with self.tracer.start_as_current_span(
            f"{EXECUTE_TOOL} {kind}", attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            yield span
