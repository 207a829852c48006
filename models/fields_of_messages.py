"""The fields of messages that no prompt of a run has, by name."""

from collections.abc import Iterator, Sequence

from models.chat_messages import (
    AssistantCustomCall,
    AssistantMessage,
    AudioInput,
    CalledFunction,
    ChatMessage,
    FileInput,
    FunctionMessage,
    ImageInput,
    RefusalInput,
    TextInput,
    ToolMessage,
)
from models.wire import RequestBody


def part_field(message: int, part: int) -> str:
    return f"messages[{message}].content[{part}]"


def answered_call(messages: Sequence[ChatMessage], index: int) -> CalledFunction | None:
    """The `function_call` of the message before `index` whose output the one at `index` is: such calls have no ids."""
    match messages[max(index - 1, 0) : index + 1]:
        case [AssistantMessage(function_call=call, tool_calls=None | []), FunctionMessage(name=name)]:
            return call if call and call.name == name else None
    return None


def custom_call(call: AssistantCustomCall) -> tuple[str, str] | None:
    """The name and the input, if it has no more."""
    match call.custom:
        case {"name": str(name), "input": str(text), **others} if not others:
            return name, text
    return None


def fields_beyond(messages: Sequence[ChatMessage]) -> Iterator[tuple[str, bool]]:
    """Each with whether `prompt_of` says it nevertheless."""
    for index, message in enumerate(messages):
        # There may be thousands of messages.
        if not _may_have_more(message):
            continue
        match message:
            case FunctionMessage():
                yield f"messages[{index}]", answered_call(messages, index) is not None
                continue
            case AssistantMessage():
                if message.function_call:
                    yield f"messages[{index}].function_call", answered_call(messages, index + 1) is not None
                for name, is_said in _of_assistant(message):
                    yield f"messages[{index}].{name}", is_said
        if getattr(message, "name", None) is not None:
            yield f"messages[{index}].name", True
        yield from _of_parts(message.content, index)


def _may_have_more(message: ChatMessage) -> bool:
    match message:
        case FunctionMessage():
            return True
        case AssistantMessage():
            if message.tool_calls or message.function_call or message.audio or message.annotations:
                return True
        case ToolMessage():
            return isinstance(message.content, list)
    return message.name is not None or isinstance(message.content, list)


def _of_assistant(message: AssistantMessage) -> Iterator[tuple[str, bool]]:
    for name in ("audio", "annotations"):
        if getattr(message, name):
            yield name, False
    if custom := [each for each in message.tool_calls or () if isinstance(each, AssistantCustomCall)]:
        yield "tool_calls", all(map(custom_call, custom))


def _of_parts(content: str | Sequence[RequestBody] | None, index: int) -> Iterator[tuple[str, bool]]:
    for at, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, TextInput | ImageInput) and part.prompt_cache_breakpoint is None:
            continue
        match part:
            case FileInput() | AudioInput() | RefusalInput():
                yield part_field(index, at), True
        match part:
            case TextInput() | ImageInput() | FileInput() | AudioInput() if part.prompt_cache_breakpoint is not None:
                yield f"{part_field(index, at)}.prompt_cache_breakpoint", False
