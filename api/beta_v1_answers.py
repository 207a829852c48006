"""Objects of the first beta (`OpenAI-Beta: assistants=v1`), made from those of v2.

The shapes are those of openai-python 1.20.0, the last release that spoke v1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
StoreFiles = Mapping[str, Sequence[str]]
"""The first files of vector stores, by the stores' ids."""

_ASSISTANT = ("id", "object", "created_at", "name", "description", "model", "instructions", "tools", "metadata")
_THREAD = ("id", "object", "created_at", "metadata")
_V2_RUN = ("top_p", "parallel_tool_calls", "reasoning_effort", "tool_resources")


def to_v1(answer: Json, files: StoreFiles) -> Json:
    """An object or a list as v1 sent it; `files` are those of `store_ids(answer)`.

    Errors and deletions are the same in both.
    """
    match answer.get("object"):
        case "list":
            return answer | {"data": [to_v1(item, files) for item in answer["data"]]}
        case "assistant":
            kept = {key: answer[key] for key in _ASSISTANT}
            return kept | {"tools": _tools(answer), "file_ids": _file_ids(answer, files)}
        case "thread":
            return {key: answer[key] for key in _THREAD}
        case "thread.message":
            return _message(answer)
        case "thread.message.delta":
            return answer | {"delta": {"content": [_content_delta(part) for part in answer["delta"]["content"]]}}
        case "thread.run":
            return _run(answer, files)
        case "thread.run.step":
            return answer | {"step_details": _step_details(answer["step_details"])}
        case "thread.run.step.delta":
            return answer | {"delta": {"step_details": _step_details(answer["delta"]["step_details"])}}
        case _:
            return answer


def store_ids(answer: Json) -> set[str]:
    """The vector stores whose files an answer shows in v1."""
    match answer:
        case {"object": "list", "data": list(items)}:
            return {store_id for item in items for store_id in store_ids(item)}
        case {
            "object": "assistant" | "thread.run",
            "tool_resources": {"file_search": {"vector_store_ids": list(ids)}},
        }:
            return set(ids)
        case _:
            return set()


def _file_ids(owner: Json, files: StoreFiles) -> list[str]:
    return [file_id for store_id in store_ids(owner) for file_id in files.get(store_id, ())]


def _message(message: Json) -> Json:
    file_ids = list(dict.fromkeys(attachment["file_id"] for attachment in message["attachments"]))
    kept = {key: value for key, value in message.items() if key != "attachments"}
    return kept | {"content": [_content(part) for part in message["content"]], "file_ids": file_ids}


def _content(part: Json) -> Json:
    """v1 had text and stored images; later kinds of content are converted to text."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(text)}} | {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": {"value": text, "annotations": []}}
        case {"type": "text", "text": {"annotations": [_, *_]}}:
            return part | {"text": _text(part["text"])}
        case {"type": "image_file", "image_file": {"file_id": str(file_id)}}:
            return {"type": "image_file", "image_file": {"file_id": file_id}}
        case _:
            return part


def _content_delta(part: Json) -> Json:
    match part:
        case {"type": "refusal", "index": index, "refusal": text}:
            return {"index": index, "type": "text", "text": {"value": text}}
        case {"type": "text", "text": {"annotations": [_, *_]}}:
            return part | {"text": _text(part["text"])}
        case _:
            return part


def _text(text: Json) -> Json:
    return text | {"annotations": [_annotation(each) for each in text["annotations"]]}


def _annotation(annotation: Json) -> Json:
    match annotation:
        case {"type": "file_citation", "file_citation": dict(cited)}:
            return annotation | {"file_citation": {"quote": "", **cited}}
        case _:
            return annotation


def _run(run: Json, files: StoreFiles) -> Json:
    kept = {key: value for key, value in run.items() if key not in _V2_RUN}
    choice = run["tool_choice"]
    return kept | {
        # v1 had no status "incomplete": such runs counted as completed, and `incomplete_details` has the reason.
        "status": "completed" if run["status"] == "incomplete" else run["status"],
        "tools": _tools(run),
        "tool_choice": {"type": "retrieval"} if choice == {"type": "file_search"} else choice,
        "file_ids": _file_ids(run, files),
    }


def _step_details(details: Json) -> Json:
    match details:
        case {"tool_calls": list(calls)}:
            return details | {"tool_calls": [_call(call) for call in calls]}
        case _:
            return details


def _call(call: Json) -> Json:
    """v1 never showed what a search found."""
    match call:
        case {"type": "file_search"}:
            kept = {key: value for key, value in call.items() if key != "file_search"}
            return kept | {"type": "retrieval", "retrieval": {}}
        case _:
            return call


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
