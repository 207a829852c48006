"""The rows that an answer of the model becomes: message, tool calls, their steps, and the record of the turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.clock import MS_PER_SECOND, now_ms, now_seconds
from infra.database.messages import refusal_content, text_content, to_message
from infra.database.run_steps import to_step
from infra.database.tables import MessageRow, RunRow, RunStepRow, Table, ToolCallRow, TurnRow
from models.answers import Answer, SaidAs
from models.events import Event
from models.ids import Prefix, derived_id
from models.language_model import FinishReason, TokenUsage
from models.messages import MessageIncompleteReason, MessageStatus
from models.run_steps import StepStatus, StepType
from models.runs import RunStatus, Usage
from models.step_events import EmittedDeltas, OpenStep, StepEvents, StreamPosition, whole
from models.turns import TurnOutcome


@dataclass(frozen=True)
class TurnAttempt:
    """One attempt at a turn. The ids of its rows derive from it, so that no attempt reuses the ids of another one.

    `fencing_token` is the time at which Temporal started the attempt, in microseconds of its server's clock: a newer
    attempt has a larger token even where attempts are counted from 1 again (after a reset) or workers' clocks differ.
    `started_at_ms` is by the worker's clock.
    """

    workflow_run_id: str
    turn: int
    attempt: int
    fencing_token: int
    started_at_ms: int
    last_message_at: int = 0
    """When the message was created (seconds) that is the thread's newest as the turn begins."""

    def message_time(self) -> int:
        """Now, for a message of this turn; a second later where the message before is of this very second.

        Programs sort messages by their time, and OpenAI's models were never so quick. It is never before that of the
        message before, whose writer's clock may be ahead.
        """
        now = now_seconds()
        return max(now + (self.last_message_at == now), self.last_message_at)

    def id_of(self, prefix: Prefix, *part: str | int) -> str:
        return derived_id(prefix, self.workflow_run_id, self.turn, self.fencing_token, *part)


@dataclass(frozen=True)
class CutShort:
    """How an answer looks whose run ended before it did."""

    reason: MessageIncompleteReason
    step_status: StepStatus


@dataclass(frozen=True)
class AnswerPart:
    """The rows of one step, and how its stream shows it."""

    step: RunStepRow
    message: MessageRow | None = None
    calls: Sequence[ToolCallRow] = ()

    @property
    def rows(self) -> list[Table]:
        return [row for row in (self.message, self.step, *self.calls) if row is not None]

    def emit(self, run: RunRow, next_event: int, open_step: OpenStep | None) -> list[Event]:
        """Note in the rows how the stream shows the step. Returns what of it the stream has not emitted yet."""
        step, message = to_step(self.step, self.calls), to_message(self.message) if self.message else None
        is_open = open_step is not None and open_step.type is step.type
        emitted = open_step.emitted if open_step and is_open else EmittedDeltas(next_event, whole(step, message))
        self.step.first_event, self.step.delta_sizes = emitted.first_event, [list(size) for size in emitted.sizes]
        replayed = StepEvents(step, message, emitted, run.expires_at)
        return replayed.closed() if is_open else [*replayed.opened(), *replayed.deltas(), *replayed.closed()]


def answer_parts(
    run: RunRow, attempt: TurnAttempt, answer: Answer, position: StreamPosition, cut_short: CutShort | None = None
) -> list[AnswerPart]:
    """The steps that an answer becomes, in the order in which its stream shows them.

    One that was `cut_short` is kept as far as it is words.
    """
    calls = [] if cut_short else call_rows(run, attempt, answer)
    parts = []
    if answer.has_words or not (calls or cut_short):
        # Where words come with calls, the calls' step carries the tokens of both, so that none counts twice.
        usage = TokenUsage() if calls else answer.usage
        parts.append(message_part(run, attempt, answer, usage, position.open_step, cut_short))
    if calls:
        parts.append(calls_part(run, attempt, answer, calls))
    # A step that is open already comes first.
    return sorted(parts, key=lambda part: position.open_step is None or part.step.type != position.open_step.type)


def message_part(
    run: RunRow,
    attempt: TurnAttempt,
    answer: Answer,
    usage: TokenUsage,
    open_step: OpenStep | None = None,
    cut_short: CutShort | None = None,
) -> AnswerPart:
    """What the answer says as a message, and its step."""
    is_open = open_step is not None and open_step.type is StepType.MESSAGE_CREATION
    created_at = open_step.opened_at if open_step and is_open else attempt.message_time()
    now = max(now_seconds(), created_at)
    reason = _incomplete_reason(answer) or (cut_short.reason if cut_short else None)
    message = MessageRow(
        id=attempt.id_of(Prefix.MESSAGE),
        project_id=run.project_id,
        thread_id=run.thread_id,
        created_at=created_at,
        status=MessageStatus.INCOMPLETE if reason else MessageStatus.COMPLETED,
        incomplete_reason=reason,
        incomplete_at=now if reason else None,
        completed_at=None if reason else now,
        role="assistant",
        content=_content(answer),
        assistant_id=run.assistant_id,
        run_id=run.id,
        attachments=[],
        metadata_={},
    )
    step = _step_row(run, attempt, StepType.MESSAGE_CREATION, usage)
    step.message_id = message.id
    end_step(step, cut_short.step_status if cut_short else StepStatus.COMPLETED, now)
    return AnswerPart(step, message)


def calls_part(run: RunRow, attempt: TurnAttempt, answer: Answer, calls: Sequence[ToolCallRow]) -> AnswerPart:
    """The step of function calls: open until their outputs are submitted, unless the model was cut off in them."""
    step = _step_row(run, attempt, StepType.TOOL_CALLS, answer.usage)
    if answer.run_status is RunStatus.INCOMPLETE:
        end_step(step, StepStatus.COMPLETED, now_seconds())
    return AnswerPart(step, calls=calls)


def call_rows(run: RunRow, attempt: TurnAttempt, answer: Answer) -> list[ToolCallRow]:
    """The calls under ids of our own: providers repeat theirs, or give none."""
    return [
        ToolCallRow(
            id=attempt.id_of(Prefix.CALL, position),
            project_id=run.project_id,
            run_id=run.id,
            step_id=attempt.id_of(Prefix.STEP, StepType.TOOL_CALLS),
            turn=attempt.turn,
            position=position,
            type="function",
            name=call.name,
            arguments=call.arguments,
        )
        for position, call in enumerate(answer.calls)
    ]


def turn_row(run: RunRow, attempt: TurnAttempt, answer: Answer, outcome: TurnOutcome) -> TurnRow:
    return TurnRow(
        run_id=run.id,
        turn=attempt.turn,
        project_id=run.project_id,
        attempt=attempt.attempt,
        next_step=outcome.next_step,
        run_status=outcome.status,
        finish_reason=answer.finish.reason if answer.finish else FinishReason.STOP,
        started_at=attempt.started_at_ms,
        finished_at=now_ms(),
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        cached_tokens=answer.usage.cached_tokens,
        reasoning_tokens=answer.usage.reasoning_tokens,
    )


def end_step(step: RunStepRow, status: StepStatus, now: int) -> None:
    """Close a step, with the time in the column of its status."""
    step.status = status
    step.expires_at = None
    for name, value in step_end_times(status, now).items():
        setattr(step, name, value)


def step_end_times(status: StepStatus, now: int) -> dict[str, int]:
    return {f"{status}_at": now}


def _step_row(run: RunRow, attempt: TurnAttempt, kind: StepType, usage: TokenUsage) -> RunStepRow:
    return RunStepRow(
        id=attempt.id_of(Prefix.STEP, kind),
        project_id=run.project_id,
        thread_id=run.thread_id,
        run_id=run.id,
        assistant_id=run.assistant_id,
        turn=attempt.turn,
        type=kind,
        status=StepStatus.IN_PROGRESS,
        created_at=attempt.started_at_ms // MS_PER_SECOND,
        expires_at=run.expires_at,
        metadata_={},
        usage=Usage.of(usage).model_dump(),
    )


def _content(answer: Answer) -> list[dict[str, Any]]:
    """The parts in the order in which they began, as the stream showed them; an empty text where there is none."""
    parts = {SaidAs.TEXT: text_content(answer.text), SaidAs.REFUSAL: refusal_content(answer.refusal)}
    return [parts[kind] for kind in answer.said] or [text_content("")]


def _incomplete_reason(answer: Answer) -> MessageIncompleteReason | None:
    match answer.finish.reason if answer.finish else None:
        case FinishReason.LENGTH:
            return MessageIncompleteReason.MAX_TOKENS
        case FinishReason.CONTENT_FILTER:
            return MessageIncompleteReason.CONTENT_FILTER
        case _:
            return None
