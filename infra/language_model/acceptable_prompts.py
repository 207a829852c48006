"""Prompts without blank texts, with a user's message first, and with roles by turns.

Bedrock, Anthropic, Gemini, and the templates of many open models refuse others. OpenAI's API accepts them, and so they
are in threads.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from urllib.parse import urlsplit

from models.language_model import (
    AssistantTurn,
    FunctionOutput,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)

EMPTY_MESSAGE = "(empty message)"
NO_OUTPUT = "(no output)"
BETWEEN_MESSAGES = "\n\n"
OPENAI_HOST, AZURE_HOSTS = "api.openai.com", (".openai.azure.com", ".api.openai.com")
BEGINNING = UserTurn((TextPart("(beginning of the conversation)"),))


def acceptable(request: ModelRequest) -> ModelRequest:
    """The same request in a form that every provider accepts."""
    items = [kept for item in request.prompt if (kept := _kept(item)) is not None]
    # Messages have names in bodies of chat completions only.
    kind = _kind_and_name if request.chat else type
    return replace(request, prompt=tuple(_by_turns(_begun_by_user(items), kind)))


def takes_any_prompt(url: str) -> bool:
    """Whether an endpoint is OpenAI's own, of which threads are copies."""
    host = urlsplit(url).hostname or ""
    return host == OPENAI_HOST or host.endswith(AZURE_HOSTS)


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


def _kind_and_name(item: PromptItem) -> tuple[type, str | None]:
    return type(item), getattr(item, "name", None)


def _by_turns(items: Iterable[PromptItem], kind: Callable[[PromptItem], object]) -> Iterator[PromptItem]:
    """Join messages in a row, at a cost that is linear in their number."""
    for _, alike in groupby(items, key=kind):
        match list(alike):
            case [SystemPrompt(name=name), _, *_] as prompts:
                texts = (each.text for each in prompts if isinstance(each, SystemPrompt))
                yield SystemPrompt(BETWEEN_MESSAGES.join(texts), name)
            case [UserTurn(), _, *_] as turns:
                yield _one_of_user([each for each in turns if isinstance(each, UserTurn)])
            case [AssistantTurn(), _, *_] as turns:
                yield from _one_of_assistant([each for each in turns if isinstance(each, AssistantTurn)])
            case others:
                yield from others


def _one_of_user(turns: list[UserTurn]) -> UserTurn:
    parts = tuple(chain.from_iterable(turn.content for turn in turns))
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    # Some servers take no list of parts.
    content = (TextPart(BETWEEN_MESSAGES.join(texts)),) if len(texts) == len(parts) else parts
    return UserTurn(content, turns[0].name)


def _one_of_assistant(turns: list[AssistantTurn]) -> Iterator[AssistantTurn]:
    *before, last = turns
    if any(turn.calls for turn in before):
        yield from turns
    else:
        yield replace(last, text=BETWEEN_MESSAGES.join(turn.text for turn in turns if turn.text) or None)


def _kept(item: PromptItem) -> PromptItem | None:
    match item:
        case SystemPrompt(text) | AssistantTurn(text, ()) if _is_blank(text):
            return None
        case AssistantTurn(text) if _is_blank(text):
            return replace(item, text=None)
        case FunctionOutput(call_id, output) if _is_blank(output):
            return FunctionOutput(call_id, NO_OUTPUT)
        case UserTurn(content):
            parts = tuple(part for part in content if not isinstance(part, TextPart) or not _is_blank(part.text))
            return UserTurn(parts or (TextPart(EMPTY_MESSAGE),), item.name)
    return item


def _is_blank(text: str | None) -> bool:
    return not (text and text.strip())
