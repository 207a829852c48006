"""Calls of a model without function calling, through any adapter."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from infra.language_model.react.answer import ReactAnswer
from infra.language_model.react.prompt import as_text, offers_tools
from models.language_model import (
    AssistantTurn,
    Finish,
    FinishReason,
    FunctionOutput,
    ModelDelta,
    ModelRequest,
    PromptItem,
    RefusalDelta,
    SystemPrompt,
    TextDelta,
    TextPart,
    TokenUsage,
    UserTurn,
)

Stream = Callable[[ModelRequest], AsyncGenerator[ModelDelta, None]]
CountTokens = Callable[[str, str], Awaitable[int]]
"""The signature of `LanguageModel.count_tokens`."""


async def answer_by_react(
    request: ModelRequest, stream: Stream, count_tokens: CountTokens
) -> AsyncGenerator[ModelDelta, None]:
    """The answer to `request` by a model that `stream` asks for text alone; as `LanguageModel.stream`."""
    in_text = as_text(request)
    deltas = _actions(request, in_text, stream, count_tokens) if offers_tools(request) else stream(in_text)
    async with aclosing(deltas):
        async for delta in deltas:
            yield delta


async def _actions(
    request: ModelRequest, in_text: ModelRequest, stream: Stream, count_tokens: CountTokens
) -> AsyncGenerator[ModelDelta, None]:
    answer = ReactAnswer(request)
    said: list[str] = []
    finish: Finish | None = None
    async with aclosing(stream(in_text)) as deltas:
        async for delta in deltas:
            match delta:
                case TextDelta(text):
                    said.append(text)
                    for piece in answer.feed(text):
                        yield piece
                case RefusalDelta():
                    yield delta
                case Finish():
                    finish = delta
            if answer.is_over:
                break
    if finish is None:
        # The call was closed before the provider reported its usage.
        counted = [await count_tokens(request.model, text) for text in (prompt_text(in_text), "".join(said))]
        finish = Finish(FinishReason.STOP, TokenUsage(*counted))
    for piece in answer.end(finish):
        yield piece


def prompt_text(request: ModelRequest) -> str:
    """All text of `request`, for counting."""
    return "\n".join(map(_text, request.prompt))


def _text(item: PromptItem) -> str:
    match item:
        case SystemPrompt(text):
            return text
        case UserTurn(content):
            return "\n".join(part.text for part in content if isinstance(part, TextPart))
        case AssistantTurn(text, calls):
            return "\n".join([text or "", *(f"{call.name} {call.arguments}" for call in calls)])
        case FunctionOutput(output=output):
            return output
