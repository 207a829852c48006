"""The parts of a run's prompt, read in bounded pieces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, null, select

from infra.database.messages import to_message
from infra.database.run_tables import RUN_STEPS, TOOL_CALLS, TURNS
from infra.database.thread_tables import MESSAGES
from infra.database.tool_calls import to_call
from models.citations import Number, Source, sources_of, without_markers
from models.language_model import FunctionCall
from models.messages import Message, RefusalContent, Text, TextContent
from models.provider_state import ProviderState
from models.run_steps import StepStatus, StepType
from models.tool_calls import CodeRun
from models.tool_formats.formats import FORMATS

PAGE_SIZE = 50

_RUN: BindParameter[Any] = bindparam("run")
_TURN: BindParameter[Any] = bindparam("of_turn")
_MESSAGES = (
    select(MESSAGES)
    .where(MESSAGES.c.thread_id == bindparam("thread"), MESSAGES.c.seq < bindparam("before"))
    .order_by(MESSAGES.c.seq.desc())
    .limit(PAGE_SIZE)
)
_ANSWERS = (
    select(RUN_STEPS.c.turn, *MESSAGES.c)
    .join_from(RUN_STEPS, MESSAGES, MESSAGES.c.id == RUN_STEPS.c.message_id)
    .where(
        RUN_STEPS.c.run_id == _RUN,
        RUN_STEPS.c.turn < _TURN,
        RUN_STEPS.c.type == StepType.MESSAGE_CREATION.value,
        RUN_STEPS.c.status == StepStatus.COMPLETED.value,
    )
)
_CALLS = (
    select(TOOL_CALLS)
    .where(TOOL_CALLS.c.run_id == _RUN, TOOL_CALLS.c.turn < _TURN)
    .order_by(TOOL_CALLS.c.turn, TOOL_CALLS.c.position)
)

_STATES = select(TURNS.c.turn, TURNS.c.provider_state).where(
    TURNS.c.run_id == _RUN, TURNS.c.turn < _TURN, TURNS.c.provider_state.is_not(null())
)


@dataclass(slots=True)
class PastTurn:
    """An earlier turn of this run: the model's text, its calls, and their outputs by the calls' ids.

    `server_calls` are the ids of those calls whose outputs are the server's own; `sources` their results that an answer
    may cite, `image_ids` the images that they have shown. `state` is sent back with the calls.
    """

    text: str | None = None
    has_message: bool = False
    calls: list[FunctionCall] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    server_calls: list[str] = field(default_factory=list)
    sources: dict[Number, Source] = field(default_factory=dict)
    image_ids: list[str] = field(default_factory=list)
    state: ProviderState | None = None


@dataclass(frozen=True)
class MessagePage:
    """Messages, newest first; `before` is the place in the thread for the next page, None if there is none."""

    messages: Sequence[Message]
    before: int | None


def message_page(connection: Connection, thread_id: str, before: int) -> MessagePage:
    """The thread's newest messages before a place (`seq`)."""
    rows = connection.execute(_MESSAGES, {"thread": thread_id, "before": before}).all()
    return MessagePage([to_message(row) for row in rows], rows[-1].seq if len(rows) == PAGE_SIZE else None)


def past_turns(connection: Connection, run_id: str, turn: int) -> list[PastTurn]:
    """The run's turns before `turn`, in order."""
    if turn == 0:
        return []
    past: dict[int, PastTurn] = {}
    before = {"run": run_id, "of_turn": turn}
    for row in connection.execute(_ANSWERS, before):
        answer = past.setdefault(row.turn, PastTurn())
        answer.text, answer.has_message = message_text(to_message(row)), True
    for call in map(to_call, connection.execute(_CALLS, before)):
        each = past.setdefault(call.turn, PastTurn())
        each.calls.append(FunctionCall(call.id, call.name, call.arguments))
        each.outputs[call.id] = FORMATS[call.kind].output_for_model(call)
        if call.kind.is_run_by_server:
            each.server_calls.append(call.id)
            each.sources.update(sources_of([call]))
            each.image_ids += call.result.image_ids if isinstance(call.result, CodeRun) else ()
    for turn, state in connection.execute(_STATES, before):
        past.setdefault(turn, PastTurn()).state = ProviderState.of_stored(state)
    return [past[number] for number in sorted(past)]


def unseen_images(turns: Sequence[PastTurn]) -> list[str]:
    """The images that the run's code has shown since its last message, which the next one begins with."""
    image_ids: list[str] = []
    for turn in turns:
        # A turn's message precedes its calls.
        image_ids = [*([] if turn.has_message else image_ids), *turn.image_ids]
    return image_ids


def message_text(message: Message) -> str:
    """The text of a message, parts joined by line breaks. A refusal is text: most providers accept only text."""
    return _joined(message, lambda text: text.value)


def message_text_without_markers(message: Message) -> str:
    """As `message_text`, for a message of an earlier run: the numbers of its citations mean nothing in this run."""
    return _joined(message, without_markers)


def _joined(message: Message, read: Callable[[Text], str]) -> str:
    return "\n".join(text for part in message.content if (text := _words(part, read)) is not None)


def _words(part: object, read: Callable[[Text], str]) -> str | None:
    match part:
        case TextContent():
            return read(part.text)
        case RefusalContent():
            return part.refusal
    return None
