"""Emits the answer of one attempt at a turn, piece by piece, into the run's event stream."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from infra.clock import now_seconds
from infra.database import turns
from infra.database.engine import Database
from infra.database.turns import Begun
from infra.ports import EventStream
from models.aborted_steps import abort_events
from models.answered_steps import AnsweredStep, calls_step, images, message_step
from models.answers import Answer, AnswerDelta, PieceMender, SaidAs, storable
from models.events import NO_ANNOTATIONS, Event, image_delta, refusal_delta, text_delta
from models.finalization import ATTEMPT_SUPERSEDED
from models.ids import Prefix
from models.language_model import CallDelta, RefusalDelta, TextDelta, TokenUsage
from models.messages import Annotation, FileCitation, FilePath, UrlCitation
from models.offered_tools import OfferedTools
from models.run_steps import StepType
from models.step_events import EmittedDeltas, OpenStep, StepEvents, StreamPosition
from models.tool_calls import ToolCall
from models.tool_formats.format import InputReader
from models.tool_formats.formats import FORMATS
from models.turn_attempts import TurnAttempt

SKIPPED_NUMBERS = 1_000_000
"""More events than an attempt can have. Skipped if the stream was lost, with the number of its emitted events."""

NO_WAIT = timedelta()
MAX_UNFINISHED = 100_000


class TurnStream:
    """Emits the first step of the answer while it arrives; the turn's commit emits a second one.

    SDKs support one open step at a time, and a message before calls is not complete until the turn is complete.
    A superseded attempt emits no further events.
    """

    def __init__(self, stream: EventStream, begun: Begun, attempt: TurnAttempt, next_event: int) -> None:
        self._stream = stream
        self._begun = begun
        self._run = begun.run
        self._attempt = attempt
        self._next_event = next_event
        self._open_step: OpenStep | None = None
        self._offered = OfferedTools.of(begun.run.tools)
        # The message's parts in the order of their first words, the calls in theirs, each with its retained piece.
        self._parts: dict[SaidAs, PieceMender] = {}
        self._calls: list[tuple[ToolCall, InputReader]] = []
        self.image_ids: Sequence[str] = ()
        """The images that a message begins with. To be set before anything is emitted."""
        self._annotations = 0
        self._is_superseded = False

    @classmethod
    async def open(cls, database: Database, stream: EventStream, begun: Begun, attempt: TurnAttempt) -> "TurnStream":
        """Continue the run's stream. The open step of an earlier attempt is closed."""
        run = begun.run
        if begun.events.events:
            await stream.append(run.id, begun.events.first, begun.events.events)
            return cls(stream, begun, attempt, begun.next_event)
        position = await _fence(database, stream, begun, attempt)
        opened = cls(stream, begun, attempt, position.next_event)
        await opened._append(abort_events(position.unfinished, ATTEMPT_SUPERSEDED, now_seconds()))
        return opened

    async def emit(self, delta: AnswerDelta) -> None:
        """Emit a piece of the answer, if it belongs to the answer's first step."""
        match delta:
            case TextDelta(text) if self._takes(StepType.MESSAGE_CREATION):
                await self._emit_words(SaidAs.TEXT, text)
            case FileCitation(text=text) | UrlCitation(text=text) | FilePath(text=text) if self._takes(
                StepType.MESSAGE_CREATION
            ):
                await self._emit_words(SaidAs.TEXT, text, {self._annotations: delta})
                self._annotations += 1
            case RefusalDelta(text) if self._takes(StepType.MESSAGE_CREATION):
                await self._emit_words(SaidAs.REFUSAL, text)
            case CallDelta() if self._takes(StepType.TOOL_CALLS):
                await self._emit_call(delta)

    async def finish(self) -> StreamPosition:
        """Emit the retained pieces of the open step. Returns the stream's position."""
        if self._open_step is not None:
            await self._emit_rest(self._open_step)
        if self._is_superseded:
            # Emitted by an attempt that does not commit: it is lost as well, or of a version without fencing tokens.
            following = await self._stream.following(self._run.id)
            return await left_behind(self._stream, self._run.id, self._begun.next_event, following)
        return StreamPosition(self._next_event, self._open_step)

    def _takes(self, step: StepType) -> bool:
        return not self._is_superseded and (self._open_step is None or self._open_step.type is step)

    async def _emit_words(
        self, kind: SaidAs, words: str, annotations: Mapping[int, Annotation] = NO_ANNOTATIONS
    ) -> None:
        mender = self._parts.setdefault(kind, PieceMender())
        await self._emit_part(kind, mender.mend(words), annotations)

    async def _emit_part(
        self, kind: SaidAs, words: str, annotations: Mapping[int, Annotation] = NO_ANNOTATIONS
    ) -> None:
        if not words:
            return
        part = len(self.image_ids) + list(self._parts).index(kind)
        opening = []
        if self._open_step is None:
            opening = self._open_message()
        emitted, message_id = self._current_step.emitted, self._attempt.id_of(Prefix.MESSAGE)
        if kind is SaidAs.REFUSAL:
            delta = refusal_delta(message_id, part, words)
        else:
            delta = text_delta(message_id, part, words, part not in emitted.parts, annotations)
        emitted.add(part, len(words))
        await self._append([*opening, delta])

    def _open_message(self) -> list[Event]:
        opening = self._open(message_step(self._run, self._attempt, Answer(), TokenUsage(), now_seconds()))
        for part, image in enumerate(images(self.image_ids)):
            self._current_step.emitted.add(part, 0)
            opening.append(image_delta(self._attempt.id_of(Prefix.MESSAGE), part, image.image_file))
        return opening

    async def _emit_call(self, delta: CallDelta) -> None:
        events: list[Event] = []
        if self._open_step is None:
            events = self._open(calls_step(self._run, self._attempt, Answer(), (), now_seconds()))
        if delta.index == len(self._calls):
            events.append(self._call_opened(delta.index, storable(delta.name or "")))
        call, reader = self._calls[delta.index]
        events += self._input(call, reader.mend(delta.arguments))
        await self._append(events)

    def _call_opened(self, index: int, name: str) -> Event:
        call = self._offered.call(self._attempt.id_of(Prefix.CALL, index), name, "", self._attempt.turn, index)
        self._calls.append((call, FORMATS[call.kind].reader()))
        self._current_step.emitted.add(index, 0)
        return FORMATS[call.kind].opened(self._calls_step_id, call)

    def _input(self, call: ToolCall, piece: str) -> Sequence[Event]:
        if not piece:
            return ()
        self._current_step.emitted.add(call.position, len(piece))
        return FORMATS[call.kind].input_deltas(self._calls_step_id, call, piece)

    @property
    def _calls_step_id(self) -> str:
        return self._attempt.id_of(Prefix.STEP, StepType.TOOL_CALLS)

    async def _emit_rest(self, open_step: OpenStep) -> None:
        if open_step.type is StepType.MESSAGE_CREATION:
            for kind, mender in self._parts.items():
                await self._emit_part(kind, mender.rest())
            return
        await self._append([delta for call, reader in self._calls for delta in self._input(call, reader.rest())])

    def _open(self, answered: AnsweredStep) -> list[Event]:
        step, message = answered.step, answered.message
        emitted = EmittedDeltas(self._next_event)
        self._open_step = OpenStep(step.type, message.created_at if message else now_seconds(), emitted)
        return StepEvents(step, message, emitted, self._run.expires_at).opened()

    @property
    def _current_step(self) -> OpenStep:
        assert self._open_step is not None  # noqa: S101 - opened just before
        return self._open_step

    async def _append(self, events: list[Event]) -> None:
        if not events or self._is_superseded:
            return
        if await self._stream.append(self._run.id, self._next_event, events, self._attempt.fencing_token):
            self._next_event += len(events)
        else:
            self._is_superseded, self._open_step = True, None


async def _fence(database: Database, stream: EventStream, begun: Begun, attempt: TurnAttempt) -> StreamPosition:
    """As `left_behind`, for an attempt that continues from there and may be lost in turn."""
    run_id = begun.run.id
    following = await stream.fence(run_id, attempt.fencing_token)
    position = await left_behind(stream, run_id, begun.next_event, following)
    if not position.unfinished and position.next_event > begun.next_event:
        # Skipped permanently: a later attempt that finds the stream lost again must not begin here as well.
        await database.write(turns.skip_events, run_id, attempt, position.next_event)
    return position


async def left_behind(stream: EventStream, run_id: str, next_event: int, following: int) -> StreamPosition:
    """The position of a stream whose next event is number `following`, with the events of earlier attempts.

    `next_event` is the number after the last event in the database.
    """
    if following < next_event:
        return StreamPosition(next_event + SKIPPED_NUMBERS)
    since = await stream.read(run_id, next_event - 1, NO_WAIT, MAX_UNFINISHED)
    return StreamPosition(max(following, since.following), unfinished=since.events)
