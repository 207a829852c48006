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
from models.shown_steps import ShownStep
from models.threads import Thread

_CLOSED_BY_RUN = frozenset(
    {MessageIncompleteReason.RUN_CANCELLED, MessageIncompleteReason.RUN_FAILED, MessageIncompleteReason.RUN_EXPIRED}
)


@dataclass(frozen=True)
class RunPicture:
    """A run as it stands. `steps` may leave out the first ones; then `is_whole` is false and so is its history.

    `turn` is the one the model is asked for next, or is answering; `expires_at` the run's deadline, also once it has
    ended; `next_event` the number that follows the last event that the database knows of.
    """

    run: Run
    thread: Thread | None
    steps: Sequence[tuple[int, ShownStep]]
    turn: int
    expires_at: int | None
    next_event: int
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _Group:
    """Events without any other between them, from number `first` where that is known."""

    events: list[Event]
    first: int | None = None


def history(picture: RunPicture) -> list[NumberedEvent]:
    """What happened so far, from the beginning, or from the first step of a picture that is not whole."""
    told: list[NumberedEvent] = []
    following = 0
    for group in _groups(picture):
        first = max(following, group.first or 0)
        told += numbered(first, group.events)
        following = first + len(group.events)
    return told


def _groups(picture: RunPicture) -> Iterator[_Group]:
    if picture.is_whole:
        queued = _earlier(picture, RunStatus.QUEUED).model_copy(update={"started_at": None})
        yield _Group(events.opening(queued, picture.thread))
        if picture.run.started_at is not None:
            yield _Group([_status_event(picture, RunStatus.IN_PROGRESS)])
    for turn, shown in picture.steps:
        yield _Group([*shown.opened(), *shown.deltas()], shown.shown.first_event)
        if _is_asked(shown):
            yield _Group([events.run_event(_earlier(picture, RunStatus.REQUIRES_ACTION, _required(shown.step)))])
        if not _is_closed_by_run(picture, shown):
            yield from _closings(picture, turn, shown)
    if picture.run.status.is_terminal:
        ending = list(_ending(picture))
        yield _Group(ending, picture.next_event - len(ending))


def _closings(picture: RunPicture, turn: int, shown: ShownStep) -> Iterator[_Group]:
    if not _is_asked(shown):
        yield _Group(shown.closed())
    elif shown.step.status is StepStatus.COMPLETED:
        yield _Group([*shown.closed(), _status_event(picture, RunStatus.QUEUED)])
        if picture.run.status is not RunStatus.QUEUED or picture.turn > turn + 1:
            yield _Group([_status_event(picture, RunStatus.IN_PROGRESS)])


def _ending(picture: RunPicture) -> Iterator[Event]:
    """Children before the run; a cancelled run was being cancelled first."""
    if picture.run.status is RunStatus.CANCELLED:
        yield _status_event(picture, RunStatus.CANCELLING)
    for _, shown in picture.steps:
        if _is_closed_by_run(picture, shown):
            yield from shown.closed()
    yield events.run_event(picture.run)


def _is_asked(shown: ShownStep) -> bool:
    """Whether these are calls whose outputs were asked for: those of an answer that was cut short are not."""
    if shown.message is not None:
        return False
    return shown.step.status is not StepStatus.COMPLETED or all(
        call.function.output is not None for call in getattr(shown.step.step_details, "tool_calls", ())
    )


def _is_closed_by_run(picture: RunPicture, shown: ShownStep) -> bool:
    """Whether the step was cut short because the run ended. Only the last can be: before it others were taken up."""
    if not picture.run.status.is_terminal or shown is not picture.steps[-1][1]:
        return False
    if shown.message is not None:
        details = shown.message.incomplete_details
        return details is not None and details.reason in _CLOSED_BY_RUN
    return shown.step.status is not StepStatus.COMPLETED


def _status_event(picture: RunPicture, status: RunStatus) -> Event:
    return events.run_event(picture.run if picture.run.status is status else _earlier(picture, status))


def _earlier(picture: RunPicture, status: RunStatus, required_action: RequiredAction | None = None) -> Run:
    """The run as it was while it had a status."""
    not_yet = ("cancelled_at", "failed_at", "completed_at", "last_error", "incomplete_details", "usage")
    return picture.run.model_copy(
        update={
            **dict.fromkeys(not_yet),
            "status": status,
            "required_action": required_action,
            "expires_at": picture.expires_at,
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
