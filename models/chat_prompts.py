"""The prompt of a `LanguageModel` that the messages of `/chat/completions` are, as far as it can say them."""

from collections.abc import Iterator, Sequence

from models.chat_messages import (
    AssistantCall,
    AssistantCustomCall,
    AssistantMessage,
    ChatMessage,
    DeveloperMessage,
    FunctionMessage,
    ImageInput,
    ImageUrl,
    SystemMessage,
    TextInput,
    ToolMessage,
    UserMessage,
)
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
from models.wire import RequestBody

MAX_NAMED_CALLS = 10


def says_more_than_a_prompt(message: ChatMessage) -> bool:
    """Whether `prompt_of` leaves out a part of it."""
    match message:
        case FunctionMessage():
            return True
        case AssistantMessage(audio=audio, function_call=call, annotations=annotations, tool_calls=calls):
            if audio or call or annotations or any(isinstance(each, AssistantCustomCall) for each in calls or ()):
                return True
    return getattr(message, "name", None) is not None or any(map(_is_more_than_prompt, _parts_of(message.content)))


def _is_more_than_prompt(part: RequestBody) -> bool:
    is_part_of_prompt = isinstance(part, TextInput | ImageInput)
    return not is_part_of_prompt or getattr(part, "prompt_cache_breakpoint", None) is not None


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
                items.append(_assistant_turn(message))
            case UserMessage():
                items.append(UserTurn(tuple(_parts(message.content))))
            case SystemMessage() | DeveloperMessage():
                items.append(SystemPrompt(_text(message.content)))
    if unanswered:
        raise _missing_outputs(unanswered)
    return tuple(items)


def _assistant_turn(message: AssistantMessage) -> AssistantTurn:
    # A client that adds up a stream of ours has an empty content beside its refusal.
    text = _text(message.content) or message.refusal
    calls = (
        FunctionCall(each.id, each.function.name, each.function.arguments)
        for each in message.tool_calls or ()
        if isinstance(each, AssistantCall)
    )
    return AssistantTurn(text or None, tuple(calls))


def _parts(content: str | Sequence[RequestBody]) -> Iterator[TextPart | ImagePart]:
    for part in _parts_of(content) or [TextInput(type="text", text=str(content))]:
        match part:
            case TextInput(text=text):
                yield TextPart(text)
            case ImageInput(image_url=ImageUrl(url=url, detail=detail)):
                yield ImagePart(url, detail)


def _parts_of(content: str | Sequence[RequestBody] | None) -> Sequence[RequestBody]:
    return () if content is None or isinstance(content, str) else content


def _text(content: str | Sequence[RequestBody] | None) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text for part in _parts_of(content) if isinstance(part, TextInput))


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
