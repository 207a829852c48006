"""A log line for each step in a run's life, once it is committed."""

import logging
from collections.abc import Sequence

from infra.database.run_transitions import (
    OutputsSubmitted,
    RunCreated,
    RunEnded,
    RunReopened,
    RunStarted,
    RunTransition,
)

log = logging.getLogger(__name__)


def log_run_transitions(transitions: Sequence[RunTransition]) -> None:
    """The end of a run and its return at level info, what happens on the way at debug."""
    for transition in transitions:
        facts: dict[str, object] = {"run_id": transition.run.run_id, "thread_id": transition.run.thread_id}
        match transition:
            case RunCreated():
                log.debug("run.created", extra=facts)
            case RunStarted(queued_seconds=seconds):
                log.debug("run.started", extra=facts | {"queued_seconds": seconds})
            case OutputsSubmitted(awaited_seconds=seconds):
                log.debug("run.outputs_submitted", extra=facts | {"awaited_seconds": seconds})
            case RunEnded(status=status):
                log.info("run.ended", extra=facts | {"status": status.value})
            case RunReopened():
                log.info("run.reopened", extra=facts)
