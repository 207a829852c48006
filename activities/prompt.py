"""What a turn asks of the model: instructions, the thread's messages as far as they fit, and the run's own calls."""

from contextlib import aclosing
from json import dumps
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from activities.token_budget import MESSAGE_OVERHEAD_TOKENS, TokenBudget
from infra.database.prompts import PastTurn, message_text, messages_newest_first, past_turns
from infra.database.tables import MessageRow, RunRow
from infra.ports import LanguageModel
from models.language_model import (
    AssistantTurn,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    TokenUsage,
    UserTurn,
)

DEFAULT_CONTEXT_WINDOW_TOKENS = 128_000
"""Taken for a model whose window nobody knows, so that no prompt is without bound."""

ANSWER_RESERVE_TOKENS = 4_096
IMAGE_TOKENS = 1_105
"""What OpenAI counts for a 1024 x 1024 image in high detail."""


class PromptTooLong(Exception):
    """What has to be in the prompt does not fit the run's `max_prompt_tokens`."""


async def build_request(
    session: AsyncSession, run: RunRow, used: TokenUsage, language_model: LanguageModel
) -> ModelRequest:
    """The request for the run's current turn; `used` is what its earlier turns took.

    Raises `PromptTooLong` where `max_prompt_tokens` leaves no room for the least that has to be said.
    """
    functions = tuple(_function(tool["function"]) for tool in run.tools if tool["type"] == "function")
    own = [item for turn in await past_turns(session, run) for item in _own_items(turn)]
    head = [SystemPrompt(run.instructions)] if run.instructions else []
    budget = await _budget(run, used, language_model)
    must_fit = "\n".join([*map(_cost_text, [*head, *own]), *(dumps(f.parameters) for f in functions)])
    fits = await budget.takes(must_fit)
    messages = await _messages(session, run, budget)
    if run.max_prompt_tokens is not None and not (fits and (messages or not run.last_message_seq)):
        raise PromptTooLong
    return ModelRequest(
        model=run.model,
        prompt=(*head, *messages, *own),
        functions=functions,
        tool_choice=_tool_choice(run),
        parallel_tool_calls=run.parallel_tool_calls,
        temperature=run.temperature,
        top_p=run.top_p,
        max_tokens=remaining(run.max_completion_tokens, used.completion_tokens),
        response_format=_response_format(run.response_format),
        reasoning_effort=run.reasoning_effort,
    )


def remaining(limit: int | None, used: int) -> int | None:
    """What is left of a budget over the whole run."""
    return None if limit is None else limit - used


async def _budget(run: RunRow, used: TokenUsage, language_model: LanguageModel) -> TokenBudget:
    async def count(text: str) -> int:
        return await language_model.count_tokens(run.model, text)

    window = await language_model.context_window_tokens(run.model) or DEFAULT_CONTEXT_WINDOW_TOKENS
    limit = window - min(ANSWER_RESERVE_TOKENS, window // 2)
    allowed = remaining(run.max_prompt_tokens, used.prompt_tokens)
    return TokenBudget(limit if allowed is None else min(limit, allowed), count)


async def _messages(session: AsyncSession, run: RunRow, budget: TokenBudget) -> list[PromptItem]:
    """The newest messages that fit, oldest first."""
    most = run.truncation_strategy.get("last_messages") if run.truncation_strategy["type"] == "last_messages" else None
    items: list[PromptItem] = []
    async with aclosing(messages_newest_first(session, run)) as rows:
        async for row in rows:
            item = _message(row)
            if item is None:
                continue
            images = sum(part["type"] == "image_url" for part in row.content)
            fits = await budget.takes(message_text(row), overhead=MESSAGE_OVERHEAD_TOKENS + images * IMAGE_TOKENS)
            # The newest message is sent in any case, except against the client's own limit.
            if not fits and (items or run.max_prompt_tokens is not None):
                break
            items.append(item)
            if len(items) == most:
                break
    return items[::-1]


def _message(row: MessageRow) -> PromptItem | None:
    if row.role == "assistant":
        text = message_text(row)
        return AssistantTurn(text) if text else None
    return UserTurn(tuple(_part(part) for part in row.content))


def _part(part: dict[str, Any]) -> TextPart | ImagePart:
    if part["type"] == "image_url":
        return ImagePart(part["image_url"]["url"], part["image_url"]["detail"])
    return TextPart(part["text"]["value"])


def _own_items(turn: PastTurn) -> list[PromptItem]:
    calls = tuple(FunctionCall(call.id, call.name, call.arguments) for call in turn.calls)
    return [AssistantTurn(turn.text, calls), *(FunctionOutput(call.id, call.output or "") for call in turn.calls)]


def _cost_text(item: PromptItem) -> str:
    match item:
        case SystemPrompt(text):
            return text
        case AssistantTurn(text, calls):
            return "\n".join([text or "", *(call.name + call.arguments for call in calls)])
        case FunctionOutput(_, output):
            return output
        case UserTurn(content):
            return "\n".join(part.text for part in content if isinstance(part, TextPart))


def _function(definition: dict[str, Any]) -> Function:
    return Function(
        definition["name"], definition.get("description"), definition["parameters"], definition["strict"] or None
    )


def _tool_choice(run: RunRow) -> Literal["none", "auto", "required"] | tuple[Literal["function"], str]:
    """A call that was demanded has been made once the first turn is over; to demand it again would never end."""
    match run.tool_choice:
        case "none":
            return "none"
        case "required" if run.turn == 0:
            return "required"
        case {"type": "function", "function": {"name": str(name)}} if run.turn == 0:
            return ("function", name)
        case _:
            return "auto"


def _response_format(response_format: str | dict[str, Any]) -> dict[str, Any] | None:
    if isinstance(response_format, str) or response_format["type"] == "text":
        return None
    return response_format
