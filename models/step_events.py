"""The events of a step (opened, its deltas, closed), identical when emitted and when replayed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from models import events
from models.events import Event
from models.messages import Annotation, ImageFileContent, Message, MessageStatus, RefusalContent, TextContent
from models.run_steps import RunStep, StepStatus, StepType, ToolCallsDetails
from models.tool_calls import ToolCall
from models.tool_formats.formats import FORMATS

DeltaSize = tuple[int, int]
"""The part of the step that a delta belongs to (content part or tool call, from 0), and its number of characters.

The first delta of a tool call has its id and name, and no characters; that of an image has none either.
"""


@dataclass(slots=True)
class EmittedDeltas:
    """The deltas of a step in their order, and the number of the step's first event."""

    first_event: int
    sizes: list[DeltaSize] = field(default_factory=list)
    parts: set[int] = field(default_factory=set)
    """The parts that have a delta."""

    def add(self, part: int, size: int) -> None:
        self.sizes.append((part, size))
        self.parts.add(part)

    def run_lengths(self) -> list[list[int]]:
        """The stored form: `[part, size, count]` for each series of equal deltas."""
        return [[part, size, len(list(series))] for (part, size), series in groupby(self.sizes)]

    @classmethod
    def of_run_lengths(cls, first_event: int, stored: Iterable[Sequence[int]]) -> "EmittedDeltas":
        """Earlier versions stored each delta, as `[part, size]`."""
        sizes = [(part, size) for part, size, *count in stored for _ in range(count[0] if count else 1)]
        return cls(first_event, sizes)


@dataclass(frozen=True, slots=True)
class OpenStep:
    """The step that is open in the stream while its answer arrives. `opened_at` in seconds."""

    type: StepType
    opened_at: int
    emitted: EmittedDeltas


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """The number of a run's next event, and the step that its stream has opened and not closed.

    `unfinished` are the events of a lost attempt that did not close its step.
    """

    next_event: int
    open_step: OpenStep | None = None
    unfinished: Sequence[Event] = ()


STREAM_START = StreamPosition(0)


@dataclass(frozen=True, slots=True)
class StepEvents:
    """A step, its message or calls, and the deltas that were emitted. `expires_at` was its run's deadline."""

    step: RunStep
    message: Message | None
    emitted: EmittedDeltas
    expires_at: int | None
    calls: Sequence[ToolCall] = ()

    def opened(self) -> list[Event]:
        step = _begun_step(self.step, self.expires_at)
        return events.message_opened(step, _begun(self.message)) if self.message else events.step_opened(step)

    def deltas(self) -> Iterator[Event]:
        parts = _parts(self.message) if self.message else _inputs(self.calls)
        last = {part: position for position, (part, _) in enumerate(self.emitted.sizes)}
        seen, taken = set[int](), dict.fromkeys(range(len(parts)), 0)
        for position, (part, size) in enumerate(self.emitted.sizes):
            # The stored text may differ in length from the deltas: the last delta of a part has the remaining text.
            until = taken[part] + size if position != last[part] else len(parts[part])
            yield from self._delta(part, parts[part][taken[part] : until], taken[part], is_first=part not in seen)
            seen.add(part)
            taken[part] = until

    def results(self) -> Iterator[tuple[int, Sequence[Event]]]:
        """The deltas of the results of server calls, each with the number of the first, in the order of storage."""
        shown: list[tuple[int, Sequence[Event]]] = []
        for call in self.calls:
            format = FORMATS[call.kind]
            shown += [(number, [delta]) for number, delta in format.progress_deltas(self.step.id, call)]
            if call.result_event is not None:
                shown.append((call.result_event, format.result_deltas(self.step.id, call)))
        yield from sorted(shown, key=itemgetter(0))

    def closed(self) -> list[Event]:
        if self.message:
            return events.message_closed(self.step, self.message)
        return [] if self.step.status is StepStatus.IN_PROGRESS else [events.step_closed(self.step)]

    def _delta(self, part: int, piece: str, taken: int, is_first: bool) -> Sequence[Event]:
        if self.message is None:
            call = self.calls[part]
            format = FORMATS[call.kind]
            # The first delta of a call has no input.
            return [format.opened(self.step.id, call)] if is_first else format.input_deltas(self.step.id, call, piece)
        content = self.message.content[part]
        if isinstance(content, ImageFileContent):
            return [events.image_delta(self.message.id, part, content.image_file)]
        if isinstance(content, RefusalContent):
            return [events.refusal_delta(self.message.id, part, piece)]
        cited = _annotations(content, taken, taken + len(piece))
        return [events.text_delta(self.message.id, part, piece, is_first, cited)]


def whole(message: Message | None, calls: Sequence[ToolCall]) -> list[DeltaSize]:
    """One delta for each whole part: for a step that was not emitted while it arrived."""
    if message is not None:
        sized = enumerate(zip(_parts(message), message.content, strict=True))
        return [(index, len(text)) for index, (text, part) in sized if text or isinstance(part, ImageFileContent)]
    inputs = enumerate(_inputs(calls))
    return [size for index, shown in inputs for size in ((index, 0), *([(index, len(shown))] if shown else ()))]


def _begun_step(step: RunStep, expires_at: int | None) -> RunStep:
    details = step.step_details
    return step.model_copy(
        update={
            "status": StepStatus.IN_PROGRESS,
            "cancelled_at": None,
            "completed_at": None,
            "expired_at": None,
            "failed_at": None,
            "expires_at": expires_at,
            "last_error": None,
            "usage": None,
            "step_details": ToolCallsDetails(tool_calls=[]) if isinstance(details, ToolCallsDetails) else details,
        }
    )


def _begun(message: Message) -> Message:
    return message.model_copy(
        update={
            "status": MessageStatus.IN_PROGRESS,
            "content": [],
            "completed_at": None,
            "incomplete_at": None,
            "incomplete_details": None,
        }
    )


def _parts(message: Message) -> Sequence[str]:
    return [_text(part) for part in message.content]


def _text(part: object) -> str:
    match part:
        case TextContent():
            return part.text.value
        case RefusalContent():
            return part.refusal
        case _:
            return ""


def _annotations(part: object, begin: int, end: int) -> Mapping[int, Annotation]:
    """The annotations of a piece of a text, by their places."""
    if not isinstance(part, TextContent):
        return events.NO_ANNOTATIONS
    return {place: each for place, each in enumerate(part.text.annotations) if begin <= each.start_index < end}


def _inputs(calls: Sequence[ToolCall]) -> Sequence[str]:
    return [FORMATS[call.kind].shown_input(call) for call in calls]
