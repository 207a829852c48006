"""The groups of events that commits of a run emit. Writers and the replay share these definitions.

A writer numbers its group in the statement that commits it, before the run's new row is known. Groups of constant
length therefore have a count beside them.
"""

from collections.abc import Sequence

from models.events import RUN_CREATED, THREAD_CREATED, Event, run_event, step_closed
from models.run_steps import RunStep
from models.runs import Run
from models.threads import Thread

STARTED_COUNT = 1
RETRIED_COUNT = 1
SUBMITTED_COUNT = 2
ANSWERED_COUNT = 1
"""Without the events of the answer's steps."""


def created_count(with_thread: bool) -> int:
    return 3 if with_thread else 2


def created(run: Run, thread: Thread | None) -> list[Event]:
    """A queued run; `thread` is the thread of the same request."""
    opening = [Event.of(THREAD_CREATED, thread)] if thread else []
    return [*opening, Event.of(RUN_CREATED, run), run_event(run)]


def started(run: Run) -> list[Event]:
    """A run in progress: begun, or resumed after tool outputs or a reset."""
    return [run_event(run)]


def retried(run: Run) -> list[Event]:
    """A failed run is queued again."""
    return [run_event(run)]


def answered(steps: Sequence[Event], run: Run) -> list[Event]:
    """A committed answer: the events of its steps that were not emitted before, and the run's new status."""
    return [*steps, run_event(run)]


def tools_run(results: Sequence[Event], step: RunStep) -> list[Event]:
    """The server has run all calls of `step`; `results` are the deltas of the last one. The run stays in progress."""
    return [*results, step_closed(step)]


def submitted(step: RunStep, run: Run) -> list[Event]:
    """Outputs of the calls of `step` were submitted, and the run is queued again."""
    return [step_closed(step), run_event(run)]


def finalized(cancelling: Run | None, steps: Sequence[Event], run: Run) -> list[Event]:
    """An ended run: `steps` close its open steps. `cancelling` is a cancelled run as it was before its end."""
    before = [run_event(cancelling)] if cancelling else []
    return [*before, *steps, run_event(run)]
