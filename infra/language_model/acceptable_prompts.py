"""Prompts without blank texts, and with a user's message first: Bedrock, Anthropic and Gemini refuse others.

OpenAI's API accepts them, and so they are in threads.
"""

from collections.abc import Iterator
from dataclasses import replace

from models.language_model import (
    AssistantTurn,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)

EMPTY_MESSAGE = "(empty message)"
NO_OUTPUT = "(no output)"
BEGINNING = UserTurn((TextPart("(beginning of the conversation)"),))


def acceptable(request: ModelRequest) -> ModelRequest:
    """The same request in a form that every provider accepts. Roles may repeat: litellm joins such messages."""
    items = [kept for item in request.prompt if (kept := _kept(item)) is not None]
    return replace(request, prompt=tuple(_begun_by_user(items)))


def _begun_by_user(items: list[PromptItem]) -> Iterator[PromptItem]:
    said = [item for item in items if not isinstance(item, SystemPrompt)]
    yield from (item for item in items if isinstance(item, SystemPrompt))
    if not said or not isinstance(said[0], UserTurn):
        yield BEGINNING
    match said:
        case [*before, AssistantTurn(str(text)) as last]:
            yield from before
            # Claude refuses white space at the end of an answer that it continues.
            yield replace(last, text=text.rstrip())
        case _:
            yield from said


def _kept(item: PromptItem) -> PromptItem | None:
    match item:
        case SystemPrompt(text) | AssistantTurn(text, ()) if _is_blank(text):
            return None
        case AssistantTurn(text) if _is_blank(text):
            return replace(item, text=None)
        case FunctionOutput(call_id, output) if _is_blank(output):
            return FunctionOutput(call_id, NO_OUTPUT)
        case UserTurn(content):
            parts = tuple(part for part in content if isinstance(part, ImagePart) or not _is_blank(part.text))
            return UserTurn(parts or (TextPart(EMPTY_MESSAGE),))
    return item


def _is_blank(text: str | None) -> bool:
    return not (text and text.strip())
