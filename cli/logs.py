"""Where log lines go: to stderr, through the standard library, whose handlers outlive a reader that went away."""

import logging
import sys

import structlog


def configure_logs() -> None:
    """Send structlog's events and other packages' warnings to stderr, coloured on a terminal."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    for package in ("cli", "api", "workflows", "activities", "infra"):
        logging.getLogger(package).setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
