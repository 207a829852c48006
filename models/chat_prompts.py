"""The prompt of a `LanguageModel` that the messages of `/chat/completions` are, as far as it can say them."""

from collections.abc import Iterator, Sequence

from models.chat_messages import (
    AssistantCall,
    AssistantCustomCall,
    AssistantMessage,
    AudioInput,
    CalledFunction,
    ChatMessage,
    DeveloperMessage,
    FileInput,
    FunctionMessage,
    ImageInput,
    ImageUrl,
    RefusalInput,
    SystemMessage,
    TextInput,
    ToolMessage,
    UserMessage,
)
from models.errors import InvalidRequest
from models.fields_of_messages import answered_call, custom_call, part_field
from models.language_model import (
    AssistantTurn,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    MediaPart,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)
from models.wire import RequestBody

MAX_NAMED_CALLS = 10


def prompt_of(messages: Sequence[ChatMessage]) -> tuple[PromptItem, ...]:
    """A model's prompt, of all that it can say.

    Raises `InvalidRequest` for outputs that no call before asks for, and for calls without one.
    """
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
            case AssistantMessage(tool_calls=calls):
                unanswered = {call.id for call in calls or ()}
                older = answered_call(messages, index + 1) if message.function_call else None
                items.append(_assistant_turn(message, older, index))
            case FunctionMessage(content=content) if answered_call(messages, index):
                items.append(FunctionOutput(_older_id(index - 1), content or ""))
            case UserMessage():
                items.append(UserTurn(tuple(_parts(message.content, index)), message.name))
            case SystemMessage() | DeveloperMessage():
                items.append(SystemPrompt(_text(message.content), message.name))
    if unanswered:
        raise _missing_outputs(unanswered)
    return tuple(items)


def _assistant_turn(message: AssistantMessage, older: CalledFunction | None, index: int) -> AssistantTurn:
    # A client that adds up a stream of ours has an empty content beside its refusal.
    text = _text(message.content) or message.refusal
    calls = tuple(_calls(message, older, index)) if message.tool_calls or older else ()
    return AssistantTurn(text or None, calls, None, message.name)


def _calls(message: AssistantMessage, older: CalledFunction | None, index: int) -> Iterator[FunctionCall]:
    for call in message.tool_calls or ():
        match call:
            case AssistantCall(function=function):
                yield FunctionCall(call.id, function.name, function.arguments)
            case AssistantCustomCall() if said := custom_call(call):
                yield FunctionCall(call.id, *said, is_custom=True)
    if older:
        yield FunctionCall(_older_id(index), older.name, older.arguments)


def _older_id(index: int) -> str:
    return f"function_call_{index}"


def _parts(content: str | Sequence[RequestBody], index: int) -> Iterator[TextPart | ImagePart | MediaPart]:
    if isinstance(content, str):
        yield TextPart(content)
        return
    for at, part in enumerate(content):
        match part:
            case TextInput(text=text):
                yield TextPart(text)
            case ImageInput(image_url=ImageUrl(url=url, detail=detail)):
                yield ImagePart(url, detail)
            case FileInput() | AudioInput():
                yield MediaPart(part.model_dump(exclude_unset=True), part_field(index, at))


def _text(content: str | Sequence[RequestBody] | None) -> str:
    match content:
        case None | str():
            return content or ""
    return "".join(map(_text_of_part, content))


def _text_of_part(part: RequestBody) -> str:
    match part:
        case TextInput(text=text) | RefusalInput(refusal=text):
            return text
    return ""


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
