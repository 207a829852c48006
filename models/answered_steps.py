"""The steps and messages of a model's answer, and those of their events that its stream has not emitted yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.answers import Answer, SaidAs
from models.events import Event
from models.finalization import CutShort
from models.ids import Prefix
from models.language_model import FinishReason, TokenUsage
from models.messages import (
    ImageFile,
    ImageFileContent,
    Message,
    MessageContent,
    MessageIncompleteDetails,
    MessageIncompleteReason,
    MessageStatus,
    RefusalContent,
    Text,
    TextContent,
)
from models.offered_tools import OfferedTools
from models.run_steps import (
    MessageCreation,
    MessageCreationDetails,
    RunStep,
    StepStatus,
    StepType,
    ToolCallsDetails,
)
from models.runs import LastError, Run, RunStatus, Usage
from models.step_events import EmittedDeltas, OpenStep, StepEvents, StreamPosition, whole
from models.tool_calls import ToolCall
from models.tool_formats.formats import FORMATS
from models.turn_attempts import TurnAttempt

MS_PER_SECOND = 1000


@dataclass(frozen=True)
class AnsweredStep:
    """A step of an answer and, if it is text, its message. `usage` appears in the step once the step has ended."""

    step: RunStep
    message: Message | None
    usage: Usage
    calls: Sequence[ToolCall] = ()


@dataclass(frozen=True)
class EmittedStep:
    """A step as it is stored, and those of its events that its stream has not emitted yet."""

    answered: AnsweredStep
    deltas: EmittedDeltas
    opened: Sequence[Event]
    """Includes all deltas; empty if the stream has opened the step."""
    closed: Sequence[Event]


def answered_steps(
    run: Run,
    attempt: TurnAttempt,
    answer: Answer,
    position: StreamPosition,
    now: int,
    cut_short: CutShort | None = None,
    unanswered: LastError | None = None,
) -> list[AnsweredStep]:
    """The steps of an answer in the order in which its stream emits them; `now` in seconds.

    Of an answer that was `cut_short` only the text is kept. `unanswered` is why its calls will not be answered.
    """
    calls = [] if cut_short else tool_calls(run, attempt, answer)
    steps = []
    if answer.has_words or not (calls or cut_short):
        # If an answer has text and calls, the calls' step has the tokens of both, so that none counts twice.
        usage = TokenUsage() if calls else answer.usage
        steps.append(message_step(run, attempt, answer, usage, now, position.open_step, cut_short))
    if calls:
        steps.append(calls_step(run, attempt, answer, calls, now, unanswered=unanswered))
    # The step that the stream has opened comes first.
    open_step = position.open_step
    return sorted(steps, key=lambda each: open_step is None or each.step.type is not open_step.type)


def emit(steps: Sequence[AnsweredStep], expires_at: int | None, position: StreamPosition) -> list[EmittedStep]:
    """Number the events of steps from `position` on. `expires_at` is the run's deadline."""
    emitted: list[EmittedStep] = []
    following = position.next_event
    for each in steps:
        open_step = position.open_step
        is_open = open_step is not None and open_step.type is each.step.type
        deltas = (
            open_step.emitted if open_step and is_open else EmittedDeltas(following, whole(each.message, each.calls))
        )
        replay = StepEvents(each.step, each.message, deltas, expires_at, each.calls)
        opened = [] if is_open else [*replay.opened(), *replay.deltas()]
        closed = replay.closed()
        emitted.append(EmittedStep(each, deltas, opened, closed))
        following += len(opened) + len(closed)
    return emitted


def events_of(emitted: Sequence[EmittedStep]) -> list[Event]:
    return [event for step in emitted for event in (*step.opened, *step.closed)]


def message_step(
    run: Run,
    attempt: TurnAttempt,
    answer: Answer,
    usage: TokenUsage,
    now: int,
    open_step: OpenStep | None = None,
    cut_short: CutShort | None = None,
) -> AnsweredStep:
    """The text of the answer as a message, and its step."""
    is_open = open_step is not None and open_step.type is StepType.MESSAGE_CREATION
    created_at = open_step.opened_at if open_step and is_open else attempt.message_time(now)
    ended_at = max(now, created_at)
    reason = _incomplete_reason(answer, cut_short)
    message = Message(
        id=attempt.id_of(Prefix.MESSAGE),
        created_at=created_at,
        thread_id=run.thread_id,
        status=MessageStatus.INCOMPLETE if reason else MessageStatus.COMPLETED,
        incomplete_details=MessageIncompleteDetails(reason=reason) if reason else None,
        completed_at=None if reason else ended_at,
        incomplete_at=ended_at if reason else None,
        role="assistant",
        content=_content(answer),
        assistant_id=run.assistant_id,
        run_id=run.id,
        attachments=[],
        metadata={},
    )
    details = MessageCreationDetails(message_creation=MessageCreation(message_id=message.id))
    status = cut_short.step_status if cut_short else StepStatus.COMPLETED
    return AnsweredStep(_step(run, attempt, details, usage, status, ended_at), message, Usage.of(usage))


def calls_step(
    run: Run,
    attempt: TurnAttempt,
    answer: Answer,
    calls: Sequence[ToolCall],
    now: int,
    cut_short: CutShort | None = None,
    unanswered: LastError | None = None,
) -> AnsweredStep:
    """The step of tool calls: open until all of them are answered, unless the run ends with them."""
    is_end = unanswered is not None or answer.run_status is RunStatus.INCOMPLETE
    status = StepStatus.COMPLETED if is_end else StepStatus.IN_PROGRESS
    if cut_short:
        status = cut_short.step_status
    details = ToolCallsDetails(tool_calls=[FORMATS[call.kind].step_call(call) for call in calls])
    step = _step(run, attempt, details, answer.usage, status, now, unanswered)
    return AnsweredStep(step, None, Usage.of(answer.usage), calls)


def tool_calls(run: Run, attempt: TurnAttempt, answer: Answer) -> list[ToolCall]:
    """The calls under ids of our own: providers repeat ids, or send none."""
    if not answer.calls:
        return []
    offered = OfferedTools.of(run.tools)
    return [
        offered.call(attempt.id_of(Prefix.CALL, position), call.name, call.arguments, attempt.turn, position)
        for position, call in enumerate(answer.calls)
    ]


def _step(
    run: Run,
    attempt: TurnAttempt,
    details: MessageCreationDetails | ToolCallsDetails,
    usage: TokenUsage,
    status: StepStatus,
    now: int,
    error: LastError | None = None,
) -> RunStep:
    is_open = status is StepStatus.IN_PROGRESS
    kind = StepType(details.type)
    return RunStep(
        id=attempt.id_of(Prefix.STEP, kind),
        created_at=attempt.started_at_ms // MS_PER_SECOND,
        run_id=run.id,
        assistant_id=run.assistant_id,
        thread_id=run.thread_id,
        type=kind,
        status=status,
        cancelled_at=now if status is StepStatus.CANCELLED else None,
        completed_at=now if status is StepStatus.COMPLETED else None,
        expired_at=now if status is StepStatus.EXPIRED else None,
        expires_at=run.expires_at if is_open else None,
        failed_at=now if status is StepStatus.FAILED else None,
        last_error=error,
        step_details=details,
        metadata={},
        usage=None if is_open else Usage.of(usage),
    )


def _content(answer: Answer) -> list[MessageContent]:
    """The images, then the parts in the order in which they began, as the stream emitted them.

    If there are no parts, an empty text.
    """
    parts: dict[SaidAs, MessageContent] = {
        SaidAs.TEXT: TextContent(text=Text(value=answer.text, annotations=list(answer.annotations))),
        SaidAs.REFUSAL: RefusalContent(refusal=answer.refusal),
    }
    return [*images(answer.image_ids), *([parts[kind] for kind in answer.said] or [TextContent(text=Text(value=""))])]


def images(file_ids: Sequence[str]) -> list[ImageFileContent]:
    return [ImageFileContent(type="image_file", image_file=ImageFile(file_id=file_id)) for file_id in file_ids]


def _incomplete_reason(answer: Answer, cut_short: CutShort | None) -> MessageIncompleteReason | None:
    reason = answer.finish.reason if answer.finish else None
    if reason is FinishReason.CONTENT_FILTER:
        return MessageIncompleteReason.CONTENT_FILTER
    if cut_short:
        return cut_short.message_reason
    return MessageIncompleteReason.MAX_TOKENS if reason is FinishReason.LENGTH else None
