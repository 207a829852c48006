"""A log line for each run transition, once it is committed."""

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
    """The end and the resumption of a run at level info, other transitions at debug."""
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
