"""The request of `/chat/completions`, and the call of a language model that it stands for.

What the `LanguageModel` port lacks (several choices, log probabilities, seeds, penalties, audio) is refused, except
where a program sends OpenAI's default.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from models.chat_messages import ChatMessage, prompt_of, text_or_parts
from models.errors import InvalidRequest
from models.language_model import Function, ModelRequest
from models.thread_errors import UnusableToolChoice
from models.tools import FunctionTool, ModelName, NamedFormat, ReasoningEffort, TextFormat
from models.wire import MAX_SAFE_INTEGER, RequestBody, Temperature, TopP, branch, one_of

MAX_MESSAGES = 10_000
MAX_TOOLS = 128


class ChosenFunction(RequestBody):
    name: str


class ChooseChatFunction(RequestBody):
    type: Literal["function"]
    function: ChosenFunction


def _word_or_object(value: Any) -> str:
    return branch("word") if isinstance(value, str) else branch("object")


ChatToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(branch("word"))]
    | Annotated[ChooseChatFunction, Tag(branch("object"))],
    Discriminator(_word_or_object),
    one_of("a string or an object", str, dict),
]
Stop = Annotated[
    Annotated[str, Tag(branch("text"))] | Annotated[list[str], Field(max_length=1), Tag(branch("parts"))],
    Discriminator(text_or_parts),
    one_of("a string or an array", str, list),
]
Penalty = Annotated[float, Field(ge=0, le=0)]


class StreamOptions(RequestBody):
    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class CreateChatCompletionRequest(RequestBody):
    model: ModelName
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: ChatToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: NamedFormat | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_SAFE_INTEGER)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_SAFE_INTEGER)
    reasoning_effort: ReasoningEffort | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=1)
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logprobs: Literal[False] | None = None
    store: Literal[False] | None = None

    def model_request(self) -> ModelRequest:
        """The call that answers it. Raises `InvalidRequest`."""
        functions = tuple(_function(tool) for tool in self.tools or ())
        return ModelRequest(
            model=self.model,
            prompt=prompt_of(self.messages),
            functions=functions,
            tool_choice=_choice(self.tool_choice, functions),
            parallel_tool_calls=self.parallel_tool_calls is not False,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self._limit(),
            response_format=_format(self.response_format),
            reasoning_effort=self.reasoning_effort,
            stop=self.stop if isinstance(self.stop, str) else next(iter(self.stop or ()), None),
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

    def _limit(self) -> int | None:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise InvalidRequest(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens"
            )
        return self.max_tokens or self.max_completion_tokens


def _function(tool: FunctionTool) -> Function:
    given = tool.function
    return Function(given.name, given.description, given.parameters, given.strict)


def _choice(
    choice: str | ChooseChatFunction | None, functions: tuple[Function, ...]
) -> Literal["none", "auto", "required"] | tuple[Literal["function"], str]:
    if choice not in (None, "none", "auto") and not functions:
        raise UnusableToolChoice.without_tools()
    match choice:
        case None | "auto":
            return "auto"
        case ChooseChatFunction(function=ChosenFunction(name=name)):
            if name not in {function.name for function in functions}:
                raise UnusableToolChoice.of_unknown_function(name)
            return ("function", name)
        case "none":
            return "none"
    return "required"


def _format(given: BaseModel | None) -> dict[str, Any] | None:
    return None if given is None or isinstance(given, TextFormat) else given.model_dump(mode="json", by_alias=True)
