"""The messages of `/chat/completions`, and the prompt that they are."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from models.errors import InvalidRequest
from models.language_model import (
    AssistantTurn,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)
from models.wire import RequestBody, TaggedBy, branch, one_of

MAX_CALLS = 128
MAX_PARTS = 1_000
MAX_NAMED_CALLS = 10


class TextInput(RequestBody):
    type: Literal["text"]
    text: str


class ImageUrl(RequestBody):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImageInput(RequestBody):
    type: Literal["image_url"]
    image_url: ImageUrl


def text_or_parts(value: Any) -> str:
    return branch("text") if isinstance(value, str) else branch("parts")


TextContent = Annotated[
    Annotated[str, Tag(branch("text"))]
    | Annotated[list[TextInput], Field(min_length=1, max_length=MAX_PARTS, fail_fast=True), Tag(branch("parts"))],
    Discriminator(text_or_parts),
    one_of("a string or an array", str, list),
]
UserContent = Annotated[
    Annotated[str, Tag(branch("text"))]
    | Annotated[
        list[Annotated[TextInput | ImageInput, TaggedBy("type")]],
        Field(min_length=1, max_length=MAX_PARTS, fail_fast=True),
        Tag(branch("parts")),
    ],
    Discriminator(text_or_parts),
    one_of("a string or an array", str, list),
]


class SystemMessage(RequestBody):
    role: Literal["system"]
    content: TextContent


class DeveloperMessage(RequestBody):
    role: Literal["developer"]
    content: TextContent


class UserMessage(RequestBody):
    role: Literal["user"]
    content: UserContent


class CalledFunction(RequestBody):
    name: str
    arguments: str


class AssistantCall(RequestBody):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"]
    function: CalledFunction


class AssistantMessage(RequestBody):
    """`refusal` counts as text, as in later prompts of a thread."""

    role: Literal["assistant"]
    content: TextContent | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[AssistantCall], Field(max_length=MAX_CALLS, fail_fast=True)] | None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None


class ToolMessage(RequestBody):
    role: Literal["tool"]
    content: TextContent
    tool_call_id: str


ChatMessage = Annotated[
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage, TaggedBy("role")
]


def prompt_of(messages: Sequence[ChatMessage]) -> tuple[PromptItem, ...]:
    """A model's prompt. Raises `InvalidRequest` for outputs that no call before asks for, and for calls without one."""
    items: list[PromptItem] = []
    unanswered: set[str] = set()
    for index, message in enumerate(messages):
        if unanswered and not isinstance(message, ToolMessage):
            break
        match message:
            case ToolMessage(tool_call_id=call_id):
                if call_id not in unanswered:
                    raise _misplaced_output(index)
                unanswered.remove(call_id)
                items.append(FunctionOutput(call_id, _text(message.content)))
            case AssistantMessage():
                item = _assistant_turn(message)
                unanswered = {call.id for call in item.calls}
                items.append(item)
            case UserMessage():
                items.append(UserTurn(tuple(_parts(message.content))))
            case SystemMessage() | DeveloperMessage():
                items.append(SystemPrompt(_text(message.content)))
    if unanswered:
        raise _missing_outputs(unanswered)
    return tuple(items)


def _assistant_turn(message: AssistantMessage) -> AssistantTurn:
    # A client that adds up a stream of ours has an empty content beside its refusal.
    text = _text(message.content or "") or message.refusal
    calls = (FunctionCall(each.id, each.function.name, each.function.arguments) for each in message.tool_calls or ())
    return AssistantTurn(text or None, tuple(calls))


def _parts(content: str | list[TextInput | ImageInput]) -> Iterator[TextPart | ImagePart]:
    for part in [TextInput(type="text", text=content)] if isinstance(content, str) else content:
        match part:
            case TextInput(text=text):
                yield TextPart(text)
            case ImageInput(image_url=ImageUrl(url=url, detail=detail)):
                yield ImagePart(url, detail)


def _text(content: str | list[TextInput]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _misplaced_output(index: int) -> InvalidRequest:
    return InvalidRequest(
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        f"messages.[{index}].role",
    )


def _missing_outputs(call_ids: set[str]) -> InvalidRequest:
    return InvalidRequest(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(sorted(call_ids)[:MAX_NAMED_CALLS])}",
        "messages",
    )
