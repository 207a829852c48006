"""The messages of `/chat/completions`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from models.wire import RequestBody, TaggedBy, branch, one_of

MAX_CALLS = 128
MAX_PARTS = 1_000

Opaque = dict[str, Any]
"""An object that only a provider reads."""


class TextInput(RequestBody):
    type: Literal["text"]
    text: str
    prompt_cache_breakpoint: Opaque | None = None


class ImageUrl(RequestBody):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImageInput(RequestBody):
    type: Literal["image_url"]
    image_url: ImageUrl
    prompt_cache_breakpoint: Opaque | None = None


class AudioInput(RequestBody):
    type: Literal["input_audio"]
    input_audio: Opaque
    prompt_cache_breakpoint: Opaque | None = None


class FileInput(RequestBody):
    type: Literal["file"]
    file: Opaque
    prompt_cache_breakpoint: Opaque | None = None


class RefusalInput(RequestBody):
    type: Literal["refusal"]
    refusal: str


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
        list[Annotated[TextInput | ImageInput | AudioInput | FileInput, TaggedBy("type")]],
        Field(min_length=1, max_length=MAX_PARTS, fail_fast=True),
        Tag(branch("parts")),
    ],
    Discriminator(text_or_parts),
    one_of("a string or an array", str, list),
]
AssistantContent = Annotated[
    Annotated[str, Tag(branch("text"))]
    | Annotated[
        list[Annotated[TextInput | RefusalInput, TaggedBy("type")]],
        Field(min_length=1, max_length=MAX_PARTS, fail_fast=True),
        Tag(branch("parts")),
    ],
    Discriminator(text_or_parts),
    one_of("a string or an array", str, list),
]


class SystemMessage(RequestBody):
    role: Literal["system"]
    content: TextContent
    name: str | None = None


class DeveloperMessage(RequestBody):
    role: Literal["developer"]
    content: TextContent
    name: str | None = None


class UserMessage(RequestBody):
    role: Literal["user"]
    content: UserContent
    name: str | None = None


class CalledFunction(RequestBody):
    name: str
    arguments: str


class AssistantCall(RequestBody):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"]
    function: CalledFunction


class AssistantCustomCall(RequestBody):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["custom"]
    custom: Opaque


AnyCall = Annotated[AssistantCall | AssistantCustomCall, TaggedBy("type")]


class AssistantMessage(RequestBody):
    """`refusal` counts as text, as in later prompts of a thread."""

    role: Literal["assistant"]
    content: AssistantContent | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[AnyCall], Field(max_length=MAX_CALLS, fail_fast=True)] | None = None
    annotations: Annotated[list[Any], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None
    audio: Opaque | None = None
    function_call: CalledFunction | None = None
    name: str | None = None


class ToolMessage(RequestBody):
    role: Literal["tool"]
    content: TextContent
    tool_call_id: str


class FunctionMessage(RequestBody):
    """The output of a `function_call`, the form before tools."""

    role: Literal["function"]
    content: str | None
    name: str


ChatMessage = Annotated[
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage, TaggedBy("role")
]
