"""Replays a run's events from what the database knows: the same events, with the same numbers, as its stream had.

Not replayed are the events of an answer that was aborted and asked for again, and the first end and second start of a
run that failed and was resumed: their numbers are missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models import run_events
from models.events import Event, NumberedEvent, numbered
from models.finalization import CUT_SHORT
from models.messages import MessageIncompleteReason
from models.run_steps import FunctionToolCall, StepStatus, ToolCallsDetails, required_action
from models.runs import RequiredAction, Run, RunStatus
from models.step_events import StepEvents
from models.threads import Thread

# A message that reached its token limit was closed by its answer.
_CLOSED_BY_RUN = frozenset(each.message_reason for each in CUT_SHORT.values()) - {MessageIncompleteReason.MAX_TOKENS}


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment. `steps` may leave out the first ones; then `is_whole` is false and so is the replay.

    `turn` is the one the model is asked for next, or is answering; `expires_at` the run's deadline, also once it has
    ended; `next_event` the number that follows the last event that the database knows of.
    """

    run: Run
    thread: Thread | None
    steps: Sequence[tuple[int, StepEvents]]
    turn: int
    expires_at: int | None
    next_event: int
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _Group:
    """Events without any other between them, from number `first` where that is known."""

    events: list[Event]
    first: int | None = None


def replay(snapshot: RunSnapshot) -> list[NumberedEvent]:
    """The events from the run's beginning, or from the first step of a snapshot that is not whole."""
    replayed: list[NumberedEvent] = []
    following = 0
    for group in _groups(snapshot):
        first = max(following, group.first or 0)
        replayed += numbered(first, group.events)
        following = first + len(group.events)
    return replayed


def _groups(snapshot: RunSnapshot) -> Iterator[_Group]:
    if snapshot.is_whole:
        queued = _earlier(snapshot, RunStatus.QUEUED).model_copy(update={"started_at": None})
        yield _Group(run_events.created(queued, snapshot.thread))
        if snapshot.run.started_at is not None:
            yield _Group(run_events.started(_at(snapshot, RunStatus.IN_PROGRESS)))
    for turn, step in snapshot.steps:
        opened = [*step.opened(), *step.deltas()]
        if _is_asked(step):
            required = _earlier(snapshot, RunStatus.REQUIRES_ACTION, required_action(_calls(step)))
            yield _Group(run_events.answered(opened, required), step.emitted.first_event)
        else:
            yield _Group(opened, step.emitted.first_event)
        if not _is_closed_by_run(snapshot, step):
            yield from _closings(snapshot, turn, step)
    if snapshot.run.status.is_terminal:
        last = _last_group(snapshot)
        yield _Group(last, snapshot.next_event - len(last))


def _closings(snapshot: RunSnapshot, turn: int, step: StepEvents) -> Iterator[_Group]:
    if not _is_asked(step):
        yield _Group(step.closed())
    elif step.step.status is StepStatus.COMPLETED:
        yield _Group(run_events.submitted(step.step, _at(snapshot, RunStatus.QUEUED)))
        if snapshot.run.status is not RunStatus.QUEUED or snapshot.turn > turn + 1:
            yield _Group(run_events.started(_at(snapshot, RunStatus.IN_PROGRESS)))


def _last_group(snapshot: RunSnapshot) -> list[Event]:
    is_cancelled = snapshot.run.status is RunStatus.CANCELLED
    cancelling = _at(snapshot, RunStatus.CANCELLING) if is_cancelled else None
    closed = [event for _, step in snapshot.steps if _is_closed_by_run(snapshot, step) for event in step.closed()]
    return run_events.finalized(cancelling, closed, snapshot.run)


def _is_asked(step: StepEvents) -> bool:
    """Whether these are calls whose outputs were asked for: those of an answer that was cut short are not."""
    if step.message is not None:
        return False
    return step.step.status is not StepStatus.COMPLETED or all(
        call.function.output is not None for call in _calls(step)
    )


def _is_closed_by_run(snapshot: RunSnapshot, step: StepEvents) -> bool:
    """Whether the step was cut short because the run ended. Only the last one can be."""
    if not snapshot.run.status.is_terminal or step is not snapshot.steps[-1][1]:
        return False
    if step.message is not None:
        details = step.message.incomplete_details
        return details is not None and details.reason in _CLOSED_BY_RUN
    return step.step.status is not StepStatus.COMPLETED


def _at(snapshot: RunSnapshot, status: RunStatus) -> Run:
    return snapshot.run if snapshot.run.status is status else _earlier(snapshot, status)


def _earlier(snapshot: RunSnapshot, status: RunStatus, required: RequiredAction | None = None) -> Run:
    """The run as it was while it had a status."""
    not_yet = ("cancelled_at", "failed_at", "completed_at", "last_error", "incomplete_details", "usage")
    return snapshot.run.model_copy(
        update={
            **dict.fromkeys(not_yet),
            "status": status,
            "required_action": required,
            "expires_at": snapshot.expires_at,
        }
    )


def _calls(step: StepEvents) -> Sequence[FunctionToolCall]:
    details = step.step.step_details
    return details.tool_calls if isinstance(details, ToolCallsDetails) else ()
