"""The first beta (`OpenAI-Beta: assistants=v1`): its bodies and objects, over the same stored objects as v2's.

The shapes are those of openai-python 1.20.0, the last release that spoke v1.
"""

from collections.abc import Callable
from typing import Any

from api.problems import shortened
from models.errors import InvalidRequest

Json = dict[str, Any]

V1_TOOLS = "'code_interpreter', 'retrieval', and 'function'"

_ASSISTANT = ("id", "object", "created_at", "name", "description", "model", "instructions", "tools", "metadata")
_THREAD = ("id", "object", "created_at", "metadata")
_V2_ASSISTANT = ("tool_resources", "temperature", "top_p", "response_format", "reasoning_effort")
_V2_RUN = ("top_p", "parallel_tool_calls", "reasoning_effort", "tool_resources")


def to_v2(operation_id: str, body: Any) -> Any:
    """A v1 client's body as the v2 operation takes it. Raises `InvalidRequest` for fields and values that v1 lacked."""
    translate = _BODIES.get(operation_id)
    return translate(body, "") if translate and isinstance(body, dict) else body


def to_v1(answer: Json) -> Json:
    """An object or a list as v1 sent it. Errors and deletions are the same in both."""
    match answer.get("object"):
        case "list":
            return answer | {"data": [to_v1(item) for item in answer["data"]]}
        case "assistant":
            return {key: answer[key] for key in _ASSISTANT} | {"tools": _tools(answer), "file_ids": []}
        case "thread":
            return {key: answer[key] for key in _THREAD}
        case "thread.message":
            return _message(answer)
        case "thread.message.delta":
            return answer | {"delta": {"content": [_content_delta(part) for part in answer["delta"]["content"]]}}
        case "thread.run":
            return _run(answer)
        case _:
            return answer


def _message(message: Json) -> Json:
    file_ids = list(dict.fromkeys(attachment["file_id"] for attachment in message["attachments"]))
    kept = {key: value for key, value in message.items() if key != "attachments"}
    return kept | {"content": [_content(part) for part in message["content"]], "file_ids": file_ids}


def _content(part: Json) -> Json:
    """v1 had text and stored images; later kinds of content are converted to text."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(text)}} | {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": {"value": text, "annotations": []}}
        case _:
            return part


def _content_delta(part: Json) -> Json:
    match part:
        case {"type": "refusal", "index": index, "refusal": text}:
            return {"index": index, "type": "text", "text": {"value": text}}
        case _:
            return part


def _run(run: Json) -> Json:
    kept = {key: value for key, value in run.items() if key not in _V2_RUN}
    return kept | {
        # v1 had no status "incomplete": such runs counted as completed, and `incomplete_details` has the reason.
        "status": "completed" if run["status"] == "incomplete" else run["status"],
        "tools": _tools(run),
        "file_ids": [],
    }


def _tools(owner: Json) -> list[Json]:
    return [_tool(tool) for tool in owner["tools"]]


def _tool(tool: Json) -> Json:
    match tool:
        case {"type": "file_search"}:
            return {"type": "retrieval"}
        case {"type": "function", "function": function}:
            return tool | {"function": {key: value for key, value in function.items() if key != "strict"}}
        case _:
            return tool


def _metadata_body(body: Json, path: str) -> Json:
    """v1 converted numbers and booleans to texts, as Python writes them; v2 refuses them."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        return body
    texts = {key: str(value) if isinstance(value, bool | int | float) else value for key, value in metadata.items()}
    return body | {"metadata": texts}


def _assistant_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, _V2_ASSISTANT)
    return _without_files(_with_v1_tools(_metadata_body(body, path), path), path)


def _message_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, ("attachments",))
    if isinstance(body.get("content"), list):
        raise InvalidRequest(
            f"Invalid type for '{path}content': expected a string, but got an array instead.",
            f"{path}content",
            "invalid_type",
        )
    return _without_files(_metadata_body(body, path), path)


def _thread_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, ("tool_resources",))
    return _with_messages(_metadata_body(body, path), path, "messages")


def _run_body(body: Json, path: str) -> Json:
    _refuse_unknown(body, path, _V2_RUN)
    return _with_messages(_with_v1_tools(_metadata_body(body, path), path), path, "additional_messages")


def _thread_and_run_body(body: Json, path: str) -> Json:
    run = _run_body(body, path)
    thread = run.get("thread")
    return run | {"thread": _thread_body(thread, "thread.")} if isinstance(thread, dict) else run


_BODIES: dict[str, Callable[[Json, str], Json]] = {
    "createAssistant": _assistant_body,
    "modifyAssistant": _assistant_body,
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
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        place = f"{path}tools[{index}].type"
        match tool:
            case {"type": "retrieval"}:
                raise InvalidRequest.unsupported_tool(place, "retrieval")
            case {"type": str(kind)} if kind not in ("code_interpreter", "function"):
                raise InvalidRequest(
                    f"Invalid value: '{shortened(kind)}'. Supported values are: {V1_TOOLS}.", place, "invalid_value"
                )
    return body


def _without_files(body: Json, path: str) -> Json:
    if body.get("file_ids"):
        raise InvalidRequest.unsupported_files(f"{path}file_ids")
    return {key: value for key, value in body.items() if key != "file_ids"}


def _refuse_unknown(body: Json, path: str, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field in body:
            raise InvalidRequest(f"Unknown parameter: '{path}{field}'.", f"{path}{field}", "unknown_parameter")
