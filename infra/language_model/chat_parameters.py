"""A `ModelRequest` as parameters of OpenAI's chat completions, which litellm accepts for every provider."""

import json
import re
from typing import Any

from models.language_model import (
    AssistantTurn,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    MediaPart,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)
from models.provider_state import ProviderState

NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")
BEGINNING_OF_NAMES = re.compile(r"[a-zA-Z_]")
MAX_NAME = 64
"""OpenAI's limit."""


NO_STATE = ProviderState("", {}, {})


class _Names:
    """The names and ids of a prompt's calls in a form that every provider accepts."""

    def __init__(self, request: ModelRequest) -> None:
        self._functions = request.function_names
        self._ids: dict[str, str] = {}

    def id_of(self, call_id: str) -> str:
        # Mistral, and the templates of its models on any server, accept only nine letters and digits. Calls keep their
        # order, so that each turn has the same ids, which providers' caches of prompts need.
        return self._ids.setdefault(call_id, f"call{len(self._ids):05d}")

    def name_of(self, call: FunctionCall) -> str:
        # The model may have invented the name, and providers refuse a whole prompt for one character.
        if call.name in self._functions:
            return call.name
        name = NOT_IN_NAMES.sub("_", call.name)
        # Gemini's begin with a letter or an underscore.
        return f"{'' if BEGINNING_OF_NAMES.match(name) else '_'}{name}"[:MAX_NAME]


def chat_parameters(request: ModelRequest, vendor: str | None = None) -> dict[str, Any]:
    """All parameters but the model's name. Unset parameters and OpenAI's defaults are left out.

    So an unsupported parameter fails the call only if a client set it. `vendor` gets its states of earlier turns.
    """
    names = _Names(request)
    given = {
        "temperature": _unless_default(request.temperature),
        "top_p": _unless_default(request.top_p),
        "max_tokens": request.max_tokens,
        "reasoning_effort": request.reasoning_effort,
        "stop": None if request.stop is None else [request.stop],
        "response_format": None if request.response_format == {"type": "text"} else request.response_format,
    }
    messages = [_message(item, names, vendor) for item in request.prompt]
    if request.chat:
        _add_names(messages, request)
    return {
        "messages": messages,
        **{name: value for name, value in given.items() if value is not None},
        **(_tool_parameters(request) if request.functions else {}),
    }


def _add_names(messages: list[dict[str, Any]], request: ModelRequest) -> None:
    for message, item in zip(messages, request.prompt, strict=True):
        if (name := getattr(item, "name", None)) is not None:
            message["name"] = name


def _unless_default(value: float | None) -> float | None:
    # The API itself shows 1 where nothing was set, and clients send it back; many models take no such parameter.
    return None if value == 1 else value


def _tool_parameters(request: ModelRequest) -> dict[str, Any]:
    parameters: dict[str, Any] = {"tools": [_tool(function) for function in request.functions]}
    match request.tool_choice:
        case ("function", name):
            parameters["tool_choice"] = {"type": "function", "function": {"name": name}}
        case "none" | "required" as choice:
            parameters["tool_choice"] = choice
    if not request.parallel_tool_calls:
        parameters["parallel_tool_calls"] = False
    return parameters


def _tool(function: Function) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": function.name, "parameters": function.parameters}
    if function.description is not None:
        definition["description"] = function.description
    if function.strict:
        definition["strict"] = True
    return {"type": "function", "function": definition}


def _message(item: PromptItem, names: _Names, vendor: str | None) -> dict[str, Any]:
    match item:
        case SystemPrompt(text):
            return {"role": "system", "content": text}
        case UserTurn((TextPart(text),)):
            return {"role": "user", "content": text}
        case UserTurn(content):
            return {"role": "user", "content": [_part(part) for part in content]}
        case AssistantTurn(text, ()):
            return {"role": "assistant", "content": text or ""}
        case AssistantTurn(text, calls, state):
            given = state if state is not None and state.provider == vendor else NO_STATE
            written = [{**_tool_call(call, names), **given.calls.get(at, {})} for at, call in enumerate(calls)]
            return {"role": "assistant", "content": text, "tool_calls": written, **given.message}
        case FunctionOutput(call_id, output):
            return {"role": "tool", "tool_call_id": names.id_of(call_id), "content": output}


def _part(part: TextPart | ImagePart | MediaPart) -> dict[str, Any]:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(url, "auto"):
            return {"type": "image_url", "image_url": {"url": url}}
        case ImagePart(url, detail):
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case MediaPart(content):
            return dict(content)


def _tool_call(call: FunctionCall, names: _Names) -> dict[str, Any]:
    if call.is_custom:
        custom = {"name": call.name, "input": call.arguments}
        return {"id": names.id_of(call.id), "type": "custom", "custom": custom}
    function = {"name": names.name_of(call), "arguments": _json_object(call.arguments)}
    return {"id": names.id_of(call.id), "type": "function", "function": function}


def _json_object(arguments: str) -> str:
    # Adapters parse the arguments, and some providers accept only an object: any other text of the model is sent back
    # to it as the value of a key that says what it is.
    try:
        parsed = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        parsed = None
    return (arguments or "{}") if isinstance(parsed, dict) else json.dumps({"unparsed_arguments": arguments})
