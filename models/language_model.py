"""The data of the `LanguageModel` port: one request, and the pieces of its streamed answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from models.provider_state import ProviderState
from models.tool_calls import ToolKind


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image by URL (`https:` or `data:`)."""

    url: str
    detail: str = "auto"


@dataclass(frozen=True, slots=True)
class MediaPart:
    """A file or a sound, as the `ChatBody` has it at `field`."""

    content: Mapping[str, Any]
    field: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call by the model. `arguments` is the model's text, which may be invalid JSON.

    A custom tool of OpenAI's has any text. It is called in answers to a `ChatBody` only.
    """

    id: str
    name: str
    arguments: str
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class SystemPrompt:
    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class UserTurn:
    content: tuple[TextPart | ImagePart | MediaPart, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    """An earlier answer of the model: text, function calls, or both; `state` is sent back with the calls."""

    text: str | None = None
    calls: tuple[FunctionCall, ...] = ()
    state: ProviderState | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionOutput:
    call_id: str
    output: str


PromptItem = SystemPrompt | UserTurn | AssistantTurn | FunctionOutput


@dataclass(frozen=True, slots=True)
class Function:
    """A function the model may call. `parameters` is a JSON Schema object; `kind` says who answers its calls."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    kind: ToolKind = ToolKind.FUNCTION


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A body of `/chat/completions` that asks for more than a `ModelRequest` says: `beyond` are those of its fields.

    `fields` are all of the body's, as the client sent them, without nulls and OpenAI's defaults. `in_request` are those
    of `beyond` that the request says too, in words that a run has no use for.
    """

    fields: Mapping[str, Any]
    beyond: tuple[str, ...]
    in_request: frozenset[str] = frozenset()

    @property
    def only_in_body(self) -> tuple[str, ...]:
        return tuple(name for name in self.beyond if name not in self.in_request)

    @property
    def is_streamed(self) -> bool:
        return bool(self.fields.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether the usage is part of the stream."""
        return bool((self.fields.get("stream_options") or {}).get("include_usage"))

    @property
    def choices(self) -> int:
        return self.fields.get("n") or 1


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call of a language model.

    `tool_choice` is "none", "auto", "required", or the name of the one function to call as `("function", name)`.
    `response_format` is OpenAI's object (`{"type": "json_object"}`, …) or None for plain text.
    `max_tokens` bounds the answer; None leaves the length to the model. `stop` is a text before which the answer ends,
    if the provider supports it. A field that is None is not sent to the provider.

    `chat` is the body that this request is a part of, if it says more: an adapter passes it on and answers with
    `PassedOn` pieces before the `Finish`, sends those of its fields that do not change the form of the answer, or
    raises `PromptRejected` with the name of the field.
    """

    model: str
    prompt: tuple[PromptItem, ...]
    functions: tuple[Function, ...] = ()
    tool_choice: Literal["none", "auto", "required"] | tuple[Literal["function"], str] = "auto"
    parallel_tool_calls: bool = True
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    stop: str | None = None
    chat: ChatBody | None = None

    @property
    def function_names(self) -> frozenset[str]:
        return frozenset(function.name for function in self.functions)


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """A piece of a refusal, for providers that distinguish it from an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of the call at `index` (dense from 0). `name` is in a call's first piece and only there."""

    index: int
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Finish:
    """Always the last piece of an answer. `state` is to be sent back with the answer's calls."""

    reason: FinishReason
    usage: TokenUsage
    state: ProviderState | None = None


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A piece of the answer to a `ChatBody`, as the provider sent it: a chunk, or the whole completion.

    `size_bytes` is the length of its JSON.
    """

    content: Mapping[str, Any]
    size_bytes: int = 0


ModelDelta = TextDelta | RefusalDelta | CallDelta | PassedOn | Finish
