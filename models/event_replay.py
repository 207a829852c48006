"""Replays a run's events from the database: the same events, with the same numbers, as its stream emitted.

Not replayed are the events of an aborted answer, and the first end and second start of a run that failed and was
resumed: their numbers are missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from models import run_events
from models.events import Event, NumberedEvent, numbered, run_event
from models.finalization import CUT_SHORT
from models.messages import MessageIncompleteReason
from models.run_steps import StepStatus, required_action
from models.runs import RequiredAction, Run, RunStatus
from models.step_events import StepEvents
from models.threads import Thread
from models.tool_calls import ToolKind

# A message that reached its token limit was closed by its answer.
_CLOSED_BY_RUN = frozenset(each.message_reason for each in CUT_SHORT.values()) - {MessageIncompleteReason.MAX_TOKENS}


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment. If `steps` lacks the first ones, `is_whole` is false, and the replay lacks their events.

    `turn` is the turn in progress or the next one; `expires_at` the run's deadline, also once it has ended;
    `next_event` the number after the last event in the database, `final_event` that of the first event of
    the run's finalization.
    """

    run: Run
    thread: Thread | None
    steps: Sequence[tuple[int, StepEvents]]
    turn: int
    expires_at: int | None
    next_event: int
    final_event: int | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _Group:
    """Consecutive events, from number `first` if that is known.

    A group that `may_be_missing` was emitted only if there is a number for it before the next group.
    """

    events: list[Event]
    first: int | None = None
    may_be_missing: bool = False


def replay(snapshot: RunSnapshot) -> list[NumberedEvent]:
    """The events from the run's beginning, or from the first step of a snapshot that is not whole."""
    replayed: list[NumberedEvent] = []
    following = 0
    groups = [*_groups(snapshot), *_last_groups(snapshot)]
    if snapshot.run.status is RunStatus.CANCELLED:
        _insert(groups, _Group([run_event(_at(snapshot, RunStatus.CANCELLING))], snapshot.final_event))
    for group, after in zip(groups, [*groups[1:], None], strict=True):
        if group.may_be_missing and after and after.first is not None and after.first <= following:
            continue
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
    for turn, steps in groupby(snapshot.steps, key=itemgetter(0)):
        yield from _turn(snapshot, turn, [step for _, step in steps])


def _turn(snapshot: RunSnapshot, turn: int, steps: Sequence[StepEvents]) -> Iterator[_Group]:
    for step in steps:
        yield _Group([*step.opened(), *step.deltas()], step.emitted.first_event)
        if not (_is_asked(step) or _is_closed_by_run(snapshot, turn, step)):
            yield _Group(step.closed())
    for step in filter(_is_asked, steps):
        yield from _answers(snapshot, turn, step)


def _answers(snapshot: RunSnapshot, turn: int, step: StepEvents) -> Iterator[_Group]:
    """The results of the server's calls, then the request to the client for the others, and its answer."""
    for first, deltas in step.results():
        yield _Group(list(deltas), first)
    if not all(call.is_answered for call in step.calls if call.kind.is_run_by_server):
        return
    is_completed = step.step.status is StepStatus.COMPLETED
    if not any(call.kind is ToolKind.FUNCTION for call in step.calls):
        if is_completed:
            yield _Group(step.closed())
        return
    required = _earlier(snapshot, RunStatus.REQUIRES_ACTION, required_action(step.calls))
    yield _Group(run_events.answered((), required))
    if is_completed:
        yield _Group(run_events.submitted(step.step, _at(snapshot, RunStatus.QUEUED)))
        if snapshot.run.status is not RunStatus.QUEUED or snapshot.turn > turn + 1:
            # A run may also end before a worker resumes it with its outputs.
            yield _Group(run_events.started(_at(snapshot, RunStatus.IN_PROGRESS)), may_be_missing=True)


def _last_groups(snapshot: RunSnapshot) -> Iterator[_Group]:
    if snapshot.run.status.is_terminal:
        closed = [
            event for turn, step in snapshot.steps if _is_closed_by_run(snapshot, turn, step) for event in step.closed()
        ]
        last = run_events.finalized(None, closed, snapshot.run)
        yield _Group(last, snapshot.next_event - len(last))


def _insert(groups: list[_Group], cancelling: _Group) -> None:
    """Insert the event of a cancel: it precedes text of the last answer that was emitted only at the end."""
    last = groups[-1]
    if cancelling.first is None:
        # Runs of an earlier version have no number for it.
        groups[-1] = _Group([*cancelling.events, *last.events], last.first and last.first - 1)
        return
    place = next(index for index, group in enumerate(groups) if (group.first or 0) > cancelling.first)
    groups.insert(place, cancelling)


def _is_asked(step: StepEvents) -> bool:
    """Whether the step has calls that were to be answered: the calls of an answer that was cut short were not."""
    if step.message is not None:
        return False
    return step.step.status is not StepStatus.COMPLETED or all(call.is_answered for call in step.calls)


def _is_closed_by_run(snapshot: RunSnapshot, turn: int, step: StepEvents) -> bool:
    """Whether the step was cut short by the run's end. Only a step of the last turn can be."""
    if not snapshot.run.status.is_terminal or turn != snapshot.steps[-1][0]:
        return False
    if step.message is not None:
        details = step.message.incomplete_details
        return details is not None and details.reason in _CLOSED_BY_RUN
    return step.step.status is not StepStatus.COMPLETED


def _at(snapshot: RunSnapshot, status: RunStatus) -> Run:
    return snapshot.run if snapshot.run.status is status else _earlier(snapshot, status)


def _earlier(snapshot: RunSnapshot, status: RunStatus, required: RequiredAction | None = None) -> Run:
    """The run at the time of an earlier status."""
    not_yet = ("cancelled_at", "failed_at", "completed_at", "last_error", "incomplete_details", "usage")
    return snapshot.run.model_copy(
        update={
            **dict.fromkeys(not_yet),
            "status": status,
            "required_action": required,
            "expires_at": snapshot.expires_at,
        }
    )
