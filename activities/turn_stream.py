"""Shows the answer of one attempt at a turn, piece by piece, to those who follow the run."""

from datetime import timedelta

from infra.clock import now_seconds
from infra.database import answers, turns
from infra.database.answers import AnswerPart, TurnAttempt
from infra.database.engine import Database
from infra.database.messages import to_message
from infra.database.run_steps import to_step
from infra.database.tables import RunRow
from infra.database.turns import Begun
from infra.ports import EventStream
from models.aborted_steps import abort_events
from models.answers import Answer, PieceMender, SaidAs, storable
from models.events import Event, arguments_delta, call_opened, refusal_delta, text_delta
from models.ids import Prefix
from models.language_model import CallDelta, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.run_steps import StepStatus, StepType
from models.step_events import EmittedDeltas, OpenStep, StepEvents, StreamPosition

LOST_NUMBERS = 1_000_000
"""More events than an attempt can have: skipped where nobody knows how many it has emitted, or will have."""

NO_WAIT = timedelta()
MAX_LEFT_OPEN = 100_000


class TurnStream:
    """What is shown live is the step that the answer begins with; a second one is emitted when the turn is committed.

    SDKs take one open step at a time, and a message that is followed by calls is not complete before its turn is.
    An attempt that was taken over, and will not be committed, adds nothing to what its successor shows.
    """

    def __init__(self, stream: EventStream, run: RunRow, attempt: TurnAttempt, next_event: int) -> None:
        self._stream = stream
        self._run = run
        self._attempt = attempt
        self._next_event = next_event
        self._open_step: OpenStep | None = None
        # The kinds of the message's parts, and what is held back of each part or call.
        self._said: list[SaidAs] = []
        self._mended: dict[int, PieceMender] = {}
        self._is_superseded = False

    @classmethod
    async def open(cls, database: Database, stream: EventStream, begun: Begun, attempt: TurnAttempt) -> "TurnStream":
        """Go on where the run's stream stands. What an attempt before this one left open is closed."""
        run = begun.run
        if begun.events.events:
            await stream.append(run.id, begun.events.first, begun.events.events)
            return cls(stream, run, attempt, run.next_event)
        position = await _fenced(database, stream, run, attempt)
        closing = abort_events(position.unfinished, StepStatus.FAILED, now_seconds())
        opened = cls(stream, run, attempt, position.next_event)
        await opened._append(closing)
        return opened

    async def emit(self, delta: ModelDelta) -> None:
        """Show a piece of the answer, if it belongs to the step that is shown live."""
        match delta:
            case TextDelta(text) if self._takes(StepType.MESSAGE_CREATION):
                await self._emit_words(SaidAs.TEXT, text)
            case RefusalDelta(text) if self._takes(StepType.MESSAGE_CREATION):
                await self._emit_words(SaidAs.REFUSAL, text)
            case CallDelta() if self._takes(StepType.TOOL_CALLS):
                await self._emit_call(delta)

    async def finish(self, answer: Answer) -> StreamPosition:
        """Show what was held back of the live step. Returns how far the stream is."""
        if self._open_step is not None:
            await self._emit_rest(self._open_step, answer)
        if self._is_superseded:
            # By one that does not commit: it is gone as well, or of a version that knows nothing of the others.
            return await left_behind(self._stream, self._run, await self._stream.following(self._run.id))
        return StreamPosition(self._next_event, self._open_step)

    def _takes(self, step: StepType) -> bool:
        return not self._is_superseded and (self._open_step is None or self._open_step.type is step)

    async def _emit_words(self, kind: SaidAs, words: str) -> None:
        if kind not in self._said:
            self._said.append(kind)
        part = self._said.index(kind)
        await self._emit_part(kind, part, self._mend(part, words))

    async def _emit_part(self, kind: SaidAs, part: int, words: str) -> None:
        if not words:
            return
        opening: list[Event] = []
        if self._open_step is None:
            opening = self._open(answers.message_part(self._run, self._attempt, Answer(), TokenUsage()))
        sizes, message_id = self._current_step.emitted.sizes, self._attempt.id_of(Prefix.MESSAGE)
        if kind is SaidAs.REFUSAL:
            delta = refusal_delta(message_id, part, words)
        else:
            delta = text_delta(message_id, part, words, is_first=all(emitted != part for emitted, _ in sizes))
        sizes.append((part, len(words)))
        await self._append([*opening, delta])

    async def _emit_call(self, delta: CallDelta) -> None:
        emitted: list[Event] = []
        if self._open_step is None:
            emitted = self._open(answers.calls_part(self._run, self._attempt, Answer(), ()))
        sizes, step_id = self._current_step.emitted.sizes, self._attempt.id_of(Prefix.STEP, StepType.TOOL_CALLS)
        if delta.name is not None:
            call_id = self._attempt.id_of(Prefix.CALL, delta.index)
            emitted.append(call_opened(step_id, delta.index, call_id, storable(delta.name)))
            sizes.append((delta.index, 0))
        if arguments := self._mend(delta.index, delta.arguments):
            emitted.append(arguments_delta(step_id, delta.index, arguments))
            sizes.append((delta.index, len(arguments)))
        if emitted:
            await self._append(emitted)

    async def _emit_rest(self, open_step: OpenStep, answer: Answer) -> None:
        if open_step.type is StepType.MESSAGE_CREATION:
            for part, kind in enumerate(self._said):
                await self._emit_part(kind, part, self._mended[part].rest())
            return
        for index, call in enumerate(answer.calls):
            rest = self._mended[index].rest()
            if not any(size for part, size in open_step.emitted.sizes if part == index) and not rest:
                rest = call.arguments
            await self._emit_call(CallDelta(index, arguments=rest))

    def _open(self, part: AnswerPart) -> list[Event]:
        emitted = EmittedDeltas(self._next_event)
        message = to_message(part.message) if part.message else None
        self._open_step = OpenStep(StepType(part.step.type), message.created_at if message else now_seconds(), emitted)
        return StepEvents(to_step(part.step), message, emitted, self._run.expires_at).opened()

    @property
    def _current_step(self) -> OpenStep:
        assert self._open_step is not None  # noqa: S101 - opened just before
        return self._open_step

    def _mend(self, part: int, piece: str) -> str:
        return self._mended.setdefault(part, PieceMender()).mend(piece)

    async def _append(self, events: list[Event]) -> None:
        if not events or self._is_superseded:
            return
        if await self._stream.append(self._run.id, self._next_event, events, self._attempt.fencing_token):
            self._next_event += len(events)
        else:
            self._is_superseded, self._open_step = True, None


async def _fenced(database: Database, stream: EventStream, run: RunRow, attempt: TurnAttempt) -> StreamPosition:
    """As `left_behind`, for an attempt that goes on from there, alone, and may be lost in its turn."""
    position = await left_behind(stream, run, await stream.fence(run.id, attempt.fencing_token))
    if not position.unfinished and position.next_event > run.next_event:
        # Skipped for good: an attempt after this one, which finds the stream lost again, must not begin here as well.
        async with database.transaction() as session:
            await turns.skip_events(session, run, attempt, position.next_event)
        run.next_event = position.next_event
    return position


async def left_behind(stream: EventStream, run: RunRow, following: int) -> StreamPosition:
    """How far the run's stream is, whose next event is number `following`, and what was left open there."""
    if following < run.next_event:
        return StreamPosition(run.next_event + LOST_NUMBERS)
    since = await stream.read(run.id, run.next_event - 1, NO_WAIT, MAX_LEFT_OPEN)
    return StreamPosition(max(following, since.following), unfinished=since.events)
