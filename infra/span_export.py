"""The export of spans by OTLP over HTTP, without any text that could contain messages."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

EXCEPTION_TYPE = "exception.type"
ERROR_TYPE = "error.type"


def create_tracer_provider(service_name: str) -> TracerProvider:
    """A provider as `OTEL_*` configures it; `service_name` is its name if they set none."""
    # Not `Resource.create(…)` with the name alone: its argument would override the environment.
    resource = Resource.create({"service.name": service_name}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(WithoutMessages(OTLPSpanExporter())))
    return provider


class WithoutMessages(SpanExporter):
    """Removes the texts of errors, which may quote a prompt, an answer or a statement's values; their types stay."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_without_messages(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _without_messages(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={**_error_type(span), **(span.attributes or {})},
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _error_type(span: ReadableSpan) -> dict[str, str]:
    """An exception, which the SDK records as an event with message and stack trace, as an attribute with its type."""
    attributes = [event.attributes or {} for event in span.events]
    types = [each[EXCEPTION_TYPE] for each in attributes if EXCEPTION_TYPE in each]
    return {ERROR_TYPE: str(types[-1])} if types else {}
