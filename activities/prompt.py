"""A turn's request to the model: instructions, as many messages of the thread as fit, and the run's own calls."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from json import dumps
from typing import Any, Literal

from sqlalchemy import Connection

from activities.code_prompt import with_files
from activities.images import PromptImages
from activities.token_budget import MESSAGE_OVERHEAD_TOKENS, TokenBudget
from infra.database import prompts, web_collections
from infra.database.engine import Database
from infra.database.prompts import PastTurn, message_text_without_markers
from infra.database.sandbox_files import KeptFile
from infra.database.token_usage import used_tokens
from infra.database.turns import Begun
from infra.ports import LanguageModel
from models.citations import Sources
from models.language_model import (
    AssistantTurn,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    TokenUsage,
    UserTurn,
)
from models.messages import ImageFileContent, ImageUrlContent, Message, MessageContent, TextContent
from models.offered_tools import OfferedTools
from models.runs import Run, RunIncompleteReason
from models.tool_calls import ToolKind
from models.tools import ChooseCodeInterpreter, ChooseFileSearch, ChooseFunction, ChooseWebRetrieval, TextFormat

DEFAULT_CONTEXT_WINDOW_TOKENS = 128_000
"""For a model whose window is unknown, so that every prompt is bounded."""

ANSWER_RESERVE_TOKENS = 4_096
IMAGE_TOKENS = 1_105
"""OpenAI's count for a 1024 x 1024 image in high detail."""

SMALL_IMAGE_TOKENS = 85
"""OpenAI's count for any image in low detail."""

SHOWN_BEFORE = "[Images in the assistant's message before this:]"
"""Models take images from users alone."""

LEFT_OUT = "This result was left out, because the conversation has become too long for it."


@dataclass(frozen=True)
class Question:
    """A request to the model, and the results that its answer may cite.

    `budget` has counted the prompt. `sources` is None if no tool of the run has results to cite: then the answer is not
    searched for citations. `made` are the files that code of its thread has made, by their names: the answer may link
    to them. `image_ids` are the images that the answer's message begins with.
    """

    request: ModelRequest
    budget: TokenBudget
    sources: Sources | None
    made: Mapping[str, KeptFile]
    image_ids: Sequence[str] = ()


@dataclass(frozen=True)
class _Past:
    """The tokens, answers and outputs of the run's earlier turns."""

    used: TokenUsage = field(default_factory=TokenUsage)
    turns: Sequence[PastTurn] = ()


async def build_request(
    database: Database,
    begun: Begun,
    turn: int,
    language_model: LanguageModel,
    images: PromptImages,
    most_tokens: int | None = None,
) -> Question | RunIncompleteReason:
    """The request for the run's turn, or the reason if a token budget leaves no room for it.

    `most_tokens` is a limit of the prompt beside those of the run and the model's window. Reads in short transactions:
    none is open while the prompt is tokenized. Raises `ObjectStoreUnavailable`.
    """
    run = begun.run
    past = await database.read(_past, run.id, turn) if turn else _Past()
    if run.max_completion_tokens is not None and past.used.completion_tokens >= run.max_completion_tokens:
        return RunIncompleteReason.MAX_COMPLETION_TOKENS
    offered = await _offered(database, begun)
    code = await with_files(database, begun, offered.functions)
    head = [SystemPrompt(run.instructions)] if run.instructions else []
    allowed = remaining(run.max_prompt_tokens, past.used.prompt_tokens)
    budget = await _budget(run, allowed, language_model, most_tokens)
    # Beyond `most_tokens` alone the newest message is still sent, as beyond the model's window.
    is_limited = allowed is not None and (most_tokens is None or allowed <= most_tokens)
    fixed = [*map(_cost_text, head), *(dumps(f.parameters) for f in code.functions)]
    own, fits = await _own_that_fit(past.turns, fixed, budget)
    messages = await _messages(database, begun, budget, images, is_limited)
    if is_limited and not (fits and (messages or not begun.last_message_seq)):
        return RunIncompleteReason.MAX_PROMPT_TOKENS
    request = ModelRequest(
        model=run.model,
        prompt=(*head, *messages, *own),
        functions=code.functions,
        tool_choice=_tool_choice(run, turn, offered),
        parallel_tool_calls=run.parallel_tool_calls,
        temperature=run.temperature,
        top_p=run.top_p,
        max_tokens=remaining(run.max_completion_tokens, past.used.completion_tokens),
        response_format=_response_format(run),
        reasoning_effort=run.reasoning_effort,
    )
    has_sources = offered.name_of(ToolKind.FILE_SEARCH) or offered.name_of(ToolKind.WEB_RETRIEVAL)
    sources = _sources(past) if has_sources else None
    return Question(request, budget, sources, code.made, prompts.unseen_images(past.turns))


async def _offered(database: Database, begun: Begun) -> OfferedTools:
    offered = OfferedTools.of(begun.run.tools)
    if offered.name_of(ToolKind.WEB_RETRIEVAL) is None:
        return offered
    collection = await database.read(web_collections.of_run, begun.run.id)
    return offered.with_collection(collection.description or "pages of the web") if collection else offered


async def _own_that_fit(
    turns: Sequence[PastTurn], fixed: Sequence[str], budget: TokenBudget
) -> tuple[list[PromptItem], bool]:
    """The items of the run's own turns, and whether they fit beside `fixed`.

    If they do not, results of server calls are left out, the oldest first. What clients submitted is never left out.
    """
    server_calls = [call_id for turn in turns for call_id in turn.server_calls]
    left_out = 0
    while True:
        without = frozenset(server_calls[:left_out])
        own = [item for turn in turns for item in _own_items(turn, without)]
        text = "\n".join([*fixed, *map(_cost_text, own)])
        if await budget.takes(text):
            return own, True
        if left_out == len(server_calls):
            await budget.take_anyway(text)
            return own, False
        # Half of the rest at a time: each trial counts the tokens of the whole prompt.
        left_out += (len(server_calls) - left_out + 1) // 2


def remaining(limit: int | None, used: int) -> int | None:
    """The rest of a budget of the whole run."""
    return None if limit is None else limit - used


def _sources(past: _Past) -> Sources:
    return {number: hit for turn in past.turns for number, hit in turn.sources.items()}


def _past(connection: Connection, run_id: str, turn: int) -> _Past:
    return _Past(used_tokens(connection, run_id), prompts.past_turns(connection, run_id, turn))


async def _budget(run: Run, allowed: int | None, language_model: LanguageModel, most_tokens: int | None) -> TokenBudget:
    async def count(text: str) -> int:
        return await language_model.count_tokens(run.model, text)

    window = await language_model.context_window_tokens(run.model) or DEFAULT_CONTEXT_WINDOW_TOKENS
    limits = (window - min(ANSWER_RESERVE_TOKENS, window // 2), allowed, most_tokens)
    return TokenBudget(min(limit for limit in limits if limit is not None), count)


async def _messages(
    database: Database, begun: Begun, budget: TokenBudget, images: PromptImages, is_limited: bool
) -> list[PromptItem]:
    """The newest messages that fit, oldest first."""
    strategy = begun.run.truncation_strategy
    most = strategy.last_messages if strategy.type == "last_messages" else None
    chosen: list[Message] = []
    async with aclosing(_newest_first(database, begun)) as messages:
        async for message in messages:
            shown = _images(message)
            if message.role == "assistant" and not (shown or message_text_without_markers(message)):
                continue
            overhead = MESSAGE_OVERHEAD_TOKENS + sum(map(_image_tokens, shown))
            text = message_text_without_markers(message)
            if not await budget.takes(text, overhead):
                # The newest message is always sent, except beyond the client's own limit.
                if chosen or is_limited:
                    break
                await budget.take_anyway(text, overhead)
            chosen.append(message)
            if len(chosen) == most:
                break
    shown = [part for message in chosen for part in _images(message)]
    await images.find([part.image_file for part in shown if isinstance(part, ImageFileContent)])
    newest_first = [await _items(message, images) for message in chosen]
    return [item for items in reversed(newest_first) for item in items]


def _images(message: Message) -> list[ImageFileContent | ImageUrlContent]:
    """Those that the model is shown: all that programs have put into the thread, but none that code of a run made."""
    if message.role == "assistant" and message.run_id is not None:
        return []
    return [part for part in message.content if isinstance(part, ImageFileContent | ImageUrlContent)]


async def _newest_first(database: Database, begun: Begun) -> AsyncGenerator[Message, None]:
    """The thread's messages up to the run's admission, newest first, read page by page."""
    before: int | None = begun.last_message_seq + 1
    while before is not None:
        page = await database.read(prompts.message_page, begun.run.thread_id, before)
        for message in page.messages:
            yield message
        before = page.before


def _image_tokens(part: MessageContent) -> int:
    match part:
        case ImageUrlContent(image_url=image) | ImageFileContent(image_file=image):
            return SMALL_IMAGE_TOKENS if image.detail == "low" else IMAGE_TOKENS
    return 0


async def _items(message: Message, images: PromptImages) -> list[PromptItem]:
    if message.role == "user":
        return [UserTurn(tuple([await _part(part, images) for part in message.content]))]
    text = message_text_without_markers(message)
    items: list[PromptItem] = [AssistantTurn(text)] if text else []
    if shown := _images(message):
        items.append(UserTurn((TextPart(SHOWN_BEFORE), *[await _part(part, images) for part in shown])))
    return items


async def _part(part: MessageContent, images: PromptImages) -> TextPart | ImagePart:
    match part:
        case ImageUrlContent():
            return ImagePart(part.image_url.url, part.image_url.detail)
        case ImageFileContent():
            return await images.part(part.image_file)
        case TextContent():
            return TextPart(part.text.value)
    raise TypeError(f"A user's message cannot have a part of type {type(part).__name__}.")


def _own_items(turn: PastTurn, without: Collection[str]) -> list[PromptItem]:
    outputs = (
        FunctionOutput(call.id, LEFT_OUT if call.id in without else turn.outputs[call.id]) for call in turn.calls
    )
    return [AssistantTurn(turn.text, tuple(turn.calls), turn.state), *outputs]


def _cost_text(item: PromptItem) -> str:
    match item:
        case SystemPrompt(text):
            return text
        case AssistantTurn(text, calls, state):
            kept = state.texts if state else ()
            return "\n".join([text or "", *(call.name + call.arguments for call in calls), *kept])
        case FunctionOutput(_, output):
            return output
        case UserTurn(content):
            return "\n".join(part.text for part in content if isinstance(part, TextPart))


def _tool_choice(
    run: Run, turn: int, offered: OfferedTools
) -> Literal["none", "auto", "required"] | tuple[Literal["function"], str]:
    """A required call is required in the first turn only; otherwise the run would never end."""
    match choice := run.tool_choice:
        case "none":
            return "none"
        case "required" if turn == 0:
            return "required"
        case ChooseFunction(function=chosen) if turn == 0:
            return ("function", chosen.name)
        case ChooseFileSearch() | ChooseCodeInterpreter() | ChooseWebRetrieval() if turn == 0 and (
            name := offered.name_of(choice.type)
        ):
            return ("function", name)
        case _:
            return "auto"


def _response_format(run: Run) -> dict[str, Any] | None:
    wanted = run.response_format
    if isinstance(wanted, str | TextFormat):
        return None
    return wanted.model_dump(mode="json", by_alias=True)
