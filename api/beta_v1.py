"""Bodies of the first beta (`OpenAI-Beta: assistants=v1`), over the same stored objects as v2's.

The shapes are those of openai-python 1.20.0, the last release that spoke v1.
"""

from collections.abc import Callable
from typing import Any

from api.problems import shortened
from models.beta_v1 import MADE_FOR_V1
from models.errors import InvalidRequest
from models.ids import Prefix

Json = dict[str, Any]

V1_TOOLS = "'code_interpreter', 'retrieval', and 'function'"
ALL_TOOLS_OF_FILES = [{"type": "file_search"}, {"type": "code_interpreter"}]
MAX_ASSISTANT_FILES = 20
MAX_MESSAGE_FILES = 10

_V2_ASSISTANT = ("tool_resources", "temperature", "top_p", "response_format", "reasoning_effort")
_V2_RUN = ("top_p", "parallel_tool_calls", "reasoning_effort", "tool_resources")


def to_v2(operation_id: str, body: Any) -> Any:
    """A v1 client's body as the v2 operation takes it. Raises `InvalidRequest` for fields and values that v1 lacked."""
    translate = _BODIES.get(operation_id)
    return translate(body, "") if translate and isinstance(body, dict) else body


def _metadata_body(body: Json, path: str) -> Json:
    """v1 converted numbers and booleans to texts, as Python writes them; v2 refuses them."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        return body
    texts = {key: str(value) if isinstance(value, bool | int | float) else value for key, value in metadata.items()}
    return body | {"metadata": texts}


def _assistant_body(body: Json, path: str) -> Json:
    """The files of a new assistant are those of a vector store of its own."""
    body, file_ids = _taken(_modified_assistant_body(body, path))
    if not file_ids:
        return body
    made = {"file_ids": file_ids, "metadata": dict(MADE_FOR_V1)}
    return body | {"tool_resources": {"file_search": {"vector_stores": [made]}}}


def _modified_assistant_body(body: Json, path: str) -> Json:
    """With `file_ids`, which v2 has no field for: `AssistantsRoute` takes them out."""
    _refuse_unknown(body, path, _V2_ASSISTANT)
    _check_files(body, path, MAX_ASSISTANT_FILES)
    return _with_v1_tools(_metadata_body(body, path), path)


def _message_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, ("attachments",))
    if isinstance(body.get("content"), list):
        raise InvalidRequest(
            f"Invalid type for '{path}content': expected a string, but got an array instead.",
            f"{path}content",
            "invalid_type",
        )
    _check_files(body, path, MAX_MESSAGE_FILES)
    body, file_ids = _taken(_metadata_body(body, path))
    attachments = [{"file_id": file_id, "tools": ALL_TOOLS_OF_FILES} for file_id in dict.fromkeys(file_ids)]
    return body | {"attachments": attachments}


def _thread_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, ("tool_resources",))
    return _with_messages(_metadata_body(body, path), path, "messages")


def _run_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, _V2_RUN)
    body = _with_v1_choice(_with_v1_tools(_metadata_body(body, path), path))
    return _with_messages(body, path, "additional_messages")


def _thread_and_run_body(body: Json, path: str) -> Json:
    run = _run_body(body, path)
    thread = run.get("thread")
    return run | {"thread": _thread_body(thread, "thread.")} if isinstance(thread, dict) else run


_BODIES: dict[str, Callable[[Json, str], Json]] = {
    "createAssistant": _assistant_body,
    "modifyAssistant": _modified_assistant_body,
    "createThread": _thread_body,
    "modifyThread": _thread_body,
    "createMessage": _message_body,
    "modifyMessage": _metadata_body,
    "modifyRun": _metadata_body,
    "createRun": _run_body,
    "createThreadAndRun": _thread_and_run_body,
}


def _with_messages(body: Json, path: str, field: str) -> Json:
    messages = body.get(field)
    if not isinstance(messages, list):
        return body
    translated = [
        _message_body(message, f"{path}{field}[{index}].") if isinstance(message, dict) else message
        for index, message in enumerate(messages)
    ]
    return body | {field: translated}


def _with_v1_tools(body: Json, path: str) -> Json:
    tools = body.get("tools")
    if not isinstance(tools, list):
        return body
    return body | {"tools": [_tool(tool, f"{path}tools[{index}].type") for index, tool in enumerate(tools)]}


def _tool(tool: Any, place: str) -> Any:
    match tool:
        case {"type": "retrieval"}:
            return tool | {"type": "file_search"}
        case {"type": str(kind)} if kind not in ("code_interpreter", "function"):
            raise InvalidRequest(
                f"Invalid value: '{shortened(kind)}'. Supported values are: {V1_TOOLS}.", place, "invalid_value"
            )
        case _:
            return tool


def _with_v1_choice(body: Json) -> Json:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "retrieval":
        return body | {"tool_choice": choice | {"type": "file_search"}}
    return body


def _taken(body: Json) -> tuple[Json, list[str]]:
    """The body without its `file_ids`, and those."""
    return {key: value for key, value in body.items() if key != "file_ids"}, body.get("file_ids") or []


def _check_files(body: Json, path: str, most: int) -> None:
    given = body.get("file_ids")
    param = f"{path}file_ids"
    if given is None:
        return
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise InvalidRequest(f"Invalid type for '{param}': expected an array of strings.", param, "invalid_type")
    if len(given) > most:
        raise InvalidRequest(
            f"Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with "
            f"length {len(given)} instead.",
            param,
            "array_above_max_length",
        )
    for index, file_id in enumerate(given):
        if not file_id.startswith(Prefix.FILE):
            raise InvalidRequest(
                f"Invalid '{param}[{index}]': '{shortened(file_id)}'. Expected an ID that begins with 'file'.",
                f"{param}[{index}]",
                "invalid_value",
            )


def _refuse_unknown(body: Json, path: str, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field in body:
            raise InvalidRequest(f"Unknown parameter: '{path}{field}'.", f"{path}{field}", "unknown_parameter")
