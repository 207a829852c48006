"""The request of `/chat/completions`, and the call of a language model that it stands for.

Fields that the `LanguageModel` port lacks (several choices, log probabilities, seeds, penalties, audio) go with the
call as a `ChatBody`, except where a program sends OpenAI's default. Their values are the provider's to check.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from models.chat_functions import ChatFunctions, allowed_functions, older_functions
from models.chat_messages import ChatMessage, Opaque, text_or_parts
from models.chat_prompts import prompt_of
from models.errors import InvalidRequest
from models.fields_of_messages import fields_beyond
from models.language_model import ChatBody, Function, ModelRequest
from models.thread_errors import UnusableToolChoice
from models.tools import FunctionTool, ModelName, NamedFormat, ReasoningEffort, TextFormat
from models.wire import MAX_SAFE_INTEGER, Metadata, RequestBody, TaggedBy, Temperature, TopP, branch, one_of

MAX_MESSAGES = 10_000
MAX_TOOLS = 128
MAX_CHOICES = 128
MAX_STOPS = 16
MAX_MODALITIES = 8

OF_THE_PORT = frozenset(
    {
        *(
            "model",
            "messages",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "response_format",
            "temperature",
            "top_p",
        ),
        *("max_tokens", "max_completion_tokens", "reasoning_effort", "stream", "stream_options"),
    }
)
OPENAIS_DEFAULTS: Mapping[str, Any] = {
    "n": 1,
    "stop": [],
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "store": False,
    "service_tier": "auto",
    "modalities": ["text"],
    "logit_bias": {},
    "metadata": {},
    # Of the port: its adapters leave them out as well.
    "temperature": 1,
    "top_p": 1,
    "response_format": {"type": "text"},
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}


class ChosenFunction(RequestBody):
    name: str


class ChooseChatFunction(RequestBody):
    type: Literal["function"]
    function: ChosenFunction


class AllowedTools(RequestBody):
    type: Literal["allowed_tools"]
    allowed_tools: Opaque


class CustomTool(RequestBody):
    """A tool whose input is a text. Also the choice of one."""

    type: Literal["custom"]
    custom: Opaque


def _word_or_object(value: Any) -> str:
    return branch("word") if isinstance(value, str) else branch("object")


ChatToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(branch("word"))]
    | Annotated[
        Annotated[ChooseChatFunction | AllowedTools | CustomTool, TaggedBy("type")],
        Tag(branch("object")),
    ],
    Discriminator(_word_or_object),
    one_of("a string or an object", str, dict),
]
Stop = Annotated[
    Annotated[str, Tag(branch("text"))] | Annotated[list[str], Field(max_length=MAX_STOPS), Tag(branch("parts"))],
    Discriminator(text_or_parts),
    one_of("a string or an array", str, list),
]
ChatTool = Annotated[FunctionTool | CustomTool, TaggedBy("type")]


class StreamOptions(RequestBody):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CreateChatCompletionRequest(RequestBody):
    model: ModelName
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
    tools: Annotated[list[ChatTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: ChatToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: NamedFormat | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_SAFE_INTEGER)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_SAFE_INTEGER)
    reasoning_effort: ReasoningEffort | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Passed on.
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    stop: Stop | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Opaque | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: Annotated[list[str], Field(max_length=MAX_MODALITIES)] | None = None
    audio: Opaque | None = None
    prediction: Opaque | None = None
    web_search_options: Opaque | None = None
    moderation: Opaque | None = None
    functions: Annotated[list[Opaque], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    function_call: Annotated[str | Opaque, one_of("a string or an object", str, dict)] | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Opaque | None = None
    prompt_cache_retention: str | None = None
    service_tier: str | None = None
    verbosity: str | None = None

    def model_request(self) -> ModelRequest:
        """The call that answers it. Raises `InvalidRequest`."""
        functions = tuple(_function(tool) for tool in self.tools or () if isinstance(tool, FunctionTool))
        choice, other_form = self._choice(functions), self._functions_in_another_form(functions)
        beyond = dict(self._beyond(other_form is not None))
        return ModelRequest(
            model=self.model,
            prompt=prompt_of(self.messages),
            functions=other_form.functions if other_form else functions,
            tool_choice=other_form.choice if other_form else choice,
            parallel_tool_calls=self.parallel_tool_calls is not False,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self._limit(),
            response_format=_format(self.response_format),
            reasoning_effort=self.reasoning_effort,
            chat=self._chat_body(beyond) if beyond else None,
        )

    def sends_usage(self) -> bool:
        """Whether the usage follows the stream. Raises `InvalidRequest` for options without a stream."""
        if self.stream_options is None:
            return False
        if not self.stream:
            raise InvalidRequest(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
            )
        return bool(self.stream_options.include_usage)

    def _chat_body(self, beyond: Mapping[str, bool]) -> ChatBody:
        in_request = frozenset(name for name, is_said in beyond.items() if is_said)
        return ChatBody(self._without_defaults(), tuple(beyond), in_request)

    def _functions_in_another_form(self, functions: tuple[Function, ...]) -> ChatFunctions | None:
        if self.functions:
            return None if self.tools else older_functions(self.functions, self.function_call)
        if isinstance(self.tool_choice, AllowedTools) and not self._has_custom_tools:
            return allowed_functions(functions, self.tool_choice.allowed_tools)
        return None

    @property
    def _has_custom_tools(self) -> bool:
        return any(isinstance(tool, CustomTool) for tool in self.tools or ())

    def _beyond(self, says_other_form: bool) -> Iterator[tuple[str, bool]]:
        """The names of fields, and whether the request says them nevertheless."""
        for name in sorted(self.model_fields_set - OF_THE_PORT):
            value = getattr(self, name)
            if value is not None and value != OPENAIS_DEFAULTS.get(name):
                yield name, says_other_form and name in ("functions", "function_call")
        yield from fields_beyond(self.messages)
        if self._has_custom_tools:
            yield "tools", False
        if isinstance(self.tool_choice, AllowedTools | CustomTool):
            yield "tool_choice", says_other_form and not self.functions
        if self.stream_options and self.stream_options.include_obfuscation:
            yield "stream_options.include_obfuscation", False

    def _without_defaults(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True, by_alias=True)
        return {name: value for name, value in given.items() if value != OPENAIS_DEFAULTS.get(name)}

    def _choice(
        self, functions: tuple[Function, ...]
    ) -> Literal["none", "auto", "required"] | tuple[Literal["function"], str]:
        without_tools = (None, "auto") if self.functions else (None, "none", "auto")
        if self.tool_choice not in without_tools and not self.tools:
            raise UnusableToolChoice.without_tools()
        match self.tool_choice:
            case "none" | "required" as word:
                return word
            case ChooseChatFunction(function=ChosenFunction(name=name)):
                if name not in {function.name for function in functions}:
                    raise UnusableToolChoice.of_unknown_function(name)
                return ("function", name)
        return "auto"

    def _limit(self) -> int | None:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise InvalidRequest(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens"
            )
        return self.max_tokens or self.max_completion_tokens


def _function(tool: FunctionTool) -> Function:
    given = tool.function
    return Function(given.name, given.description, given.parameters, given.strict)


def _format(given: BaseModel | None) -> dict[str, Any] | None:
    return None if given is None or isinstance(given, TextFormat) else given.model_dump(mode="json", by_alias=True)
