"""The destination and format of log lines: JSON or coloured text on stderr, from structlog and other loggers alike.

They pass through the standard library, whose handlers survive a reader that has closed the pipe.
"""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog
from opentelemetry.trace import format_trace_id, get_current_span
from structlog.typing import EventDict, Processor, WrappedLogger

from infra.settings import LogFormat, Settings
from infra.telemetry import is_tracing_on

OUR_PACKAGES = ("cli", "api", "workflows", "activities", "infra")
RUN_ID_PREFIX = "run_"


def configure_logs(settings: Settings) -> None:
    """Send our events from the level of `settings`, and other packages' warnings, to stderr."""
    logging.basicConfig(level=logging.WARNING, handlers=[log_handler(settings.log_format, sys.stderr)], force=True)
    for package in OUR_PACKAGES:
        logging.getLogger(package).setLevel(settings.log_level.upper())
    structlog.configure(
        processors=[*_facts(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def log_handler(log_format: LogFormat, stream: TextIO) -> logging.Handler:
    """Writes a line per record to `stream`; `auto` is text for a terminal and JSON otherwise."""
    is_text = stream.isatty() if log_format == "auto" else log_format == "console"
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if is_text else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # The fields of `extra=`, in the lines of loggers that are not structlog's.
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_facts()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    return handler


def _facts() -> Sequence[Processor]:
    facts: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        _name_run,
    ]
    return [*facts, _name_trace] if is_tracing_on() else facts


def _name_run(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Adds the run's id to lines of Temporal's SDK about its workflow."""
    about = event.get("temporal_workflow") or event.get("temporal_activity")
    workflow_id = about.get("workflow_id") if isinstance(about, dict) else None
    if isinstance(workflow_id, str) and workflow_id.startswith(RUN_ID_PREFIX):
        event.setdefault("run_id", workflow_id)
    return event


def _name_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
    return event
