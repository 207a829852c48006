"""A run's events told from what the database knows: those, with those numbers, that its stream had when they happened.

What it cannot tell are the events of an answer that was given up and asked for again, and the first end and new
beginning of a run that failed and was retried: their numbers are missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models import events
from models.events import Event, NumberedEvent, numbered
from models.messages import MessageIncompleteReason
from models.run_steps import RunStep, StepStatus
from models.runs import RequiredAction, RequiredFunction, RequiredToolCall, RequiredToolCalls, Run, RunStatus
from models.step_events import StepEvents
from models.threads import Thread

_CLOSED_BY_RUN = frozenset(
    {MessageIncompleteReason.RUN_CANCELLED, MessageIncompleteReason.RUN_FAILED, MessageIncompleteReason.RUN_EXPIRED}
)


@dataclass(frozen=True)
class RunSnapshot:
    """A run as it stands. `steps` may leave out the first ones; then `is_whole` is false and so is its history.

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
    """What happened so far, from the beginning, or from the first step of a snapshot that is not whole."""
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
        yield _Group(events.opening(queued, snapshot.thread))
        if snapshot.run.started_at is not None:
            yield _Group([_status_event(snapshot, RunStatus.IN_PROGRESS)])
    for turn, emitted in snapshot.steps:
        yield _Group([*emitted.opened(), *emitted.deltas()], emitted.emitted.first_event)
        if _is_asked(emitted):
            yield _Group([events.run_event(_earlier(snapshot, RunStatus.REQUIRES_ACTION, _required(emitted.step)))])
        if not _is_closed_by_run(snapshot, emitted):
            yield from _closings(snapshot, turn, emitted)
    if snapshot.run.status.is_terminal:
        ending = list(_ending(snapshot))
        yield _Group(ending, snapshot.next_event - len(ending))


def _closings(snapshot: RunSnapshot, turn: int, emitted: StepEvents) -> Iterator[_Group]:
    if not _is_asked(emitted):
        yield _Group(emitted.closed())
    elif emitted.step.status is StepStatus.COMPLETED:
        yield _Group([*emitted.closed(), _status_event(snapshot, RunStatus.QUEUED)])
        if snapshot.run.status is not RunStatus.QUEUED or snapshot.turn > turn + 1:
            yield _Group([_status_event(snapshot, RunStatus.IN_PROGRESS)])


def _ending(snapshot: RunSnapshot) -> Iterator[Event]:
    """Children before the run; a cancelled run was being cancelled first."""
    if snapshot.run.status is RunStatus.CANCELLED:
        yield _status_event(snapshot, RunStatus.CANCELLING)
    for _, emitted in snapshot.steps:
        if _is_closed_by_run(snapshot, emitted):
            yield from emitted.closed()
    yield events.run_event(snapshot.run)


def _is_asked(emitted: StepEvents) -> bool:
    """Whether these are calls whose outputs were asked for: those of an answer that was cut short are not."""
    if emitted.message is not None:
        return False
    return emitted.step.status is not StepStatus.COMPLETED or all(
        call.function.output is not None for call in getattr(emitted.step.step_details, "tool_calls", ())
    )


def _is_closed_by_run(snapshot: RunSnapshot, emitted: StepEvents) -> bool:
    """Whether the step was cut short because the run ended. Only the last can be: before it others were taken up."""
    if not snapshot.run.status.is_terminal or emitted is not snapshot.steps[-1][1]:
        return False
    if emitted.message is not None:
        details = emitted.message.incomplete_details
        return details is not None and details.reason in _CLOSED_BY_RUN
    return emitted.step.status is not StepStatus.COMPLETED


def _status_event(snapshot: RunSnapshot, status: RunStatus) -> Event:
    return events.run_event(snapshot.run if snapshot.run.status is status else _earlier(snapshot, status))


def _earlier(snapshot: RunSnapshot, status: RunStatus, required_action: RequiredAction | None = None) -> Run:
    """The run as it was while it had a status."""
    not_yet = ("cancelled_at", "failed_at", "completed_at", "last_error", "incomplete_details", "usage")
    return snapshot.run.model_copy(
        update={
            **dict.fromkeys(not_yet),
            "status": status,
            "required_action": required_action,
            "expires_at": snapshot.expires_at,
        }
    )


def _required(step: RunStep) -> RequiredAction:
    calls = [
        RequiredToolCall(
            id=call.id, function=RequiredFunction(name=call.function.name, arguments=call.function.arguments)
        )
        for call in getattr(step.step_details, "tool_calls", ())
    ]
    return RequiredAction(submit_tool_outputs=RequiredToolCalls(tool_calls=calls))
