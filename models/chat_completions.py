"""Bodies of `/chat/completions`, and the call of a language model that each stands for.

What the `LanguageModel` port lacks (several choices, log probabilities, seeds, penalties, audio) is refused, except
where a program sends OpenAI's default.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from models.errors import InvalidRequest
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
    UserTurn,
)
from models.thread_errors import UnusableToolChoice
from models.tools import FunctionTool, ModelName, NamedFormat, ReasoningEffort, TextFormat
from models.wire import MAX_SAFE_INTEGER, RequestBody, TaggedBy, Temperature, TopP, branch, one_of

MAX_MESSAGES = 10_000
MAX_TOOLS = 128
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


def _text_or_parts(value: Any) -> str:
    return branch("text") if isinstance(value, str) else branch("parts")


TextContent = Annotated[
    Annotated[str, Tag(branch("text"))]
    | Annotated[list[TextInput], Field(min_length=1, max_length=MAX_PARTS, fail_fast=True), Tag(branch("parts"))],
    Discriminator(_text_or_parts),
    one_of("a string or an array", str, list),
]
UserContent = Annotated[
    Annotated[str, Tag(branch("text"))]
    | Annotated[
        list[Annotated[TextInput | ImageInput, TaggedBy("type")]],
        Field(min_length=1, max_length=MAX_PARTS, fail_fast=True),
        Tag(branch("parts")),
    ],
    Discriminator(_text_or_parts),
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
    tool_calls: Annotated[list[AssistantCall], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
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
    Discriminator(_text_or_parts),
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
            prompt=_prompt(self.messages),
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


def _prompt(messages: list[ChatMessage]) -> tuple[PromptItem, ...]:
    """Raises `InvalidRequest` for outputs that no call before them asks for, and calls that have none."""
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
    text = message.refusal if message.content is None else _text(message.content)
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
