"""Documents in place of streams, as the streams of the same wire: so that one reading serves both.

The forms: chat completions, Gemini (an object, or a list of them), Anthropic's messages, Bedrock's Converse, Cohere,
Ollama.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.language_model.aws_frames import aws_frame, aws_model_frame
from infra.language_model.failure_facts import error_document, reported_status

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
JSON, EVENTS, LINES, FRAMES = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
)
CONVERSE_PATH, INVOKE_PATH = "/converse-stream", "/invoke-with-response-stream"
OK = 200

FIELDS_AT: Mapping[str, frozenset[str]] = {
    "/chat/completions": frozenset({"choices"}),
    "/v1/messages": frozenset({"content"}),
    ":streamGenerateContent": frozenset({"candidates", "promptFeedback", "usageMetadata", "error"}),
    CONVERSE_PATH: frozenset({"output"}),
    "/v2/chat": frozenset({"finish_reason"}),
    "/api/chat": frozenset({"done"}),
}
"""By the end of a path: a document has one of these, or litellm would find nothing in it at that path."""

Object = Mapping[str, Any]


class DocumentTooLong(Exception):
    """A document has more bytes than are read. The next one would be as long."""


class UnknownDocument(Exception):
    """A document in a form that no answer has."""


class UnfinishedDocument(Exception):
    """A whole answer with a choice that does not say how it ended."""


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    content_type: str
    body: bytes


def parsed(body: bytes) -> Any:
    """None if `body` is not one JSON document."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def answer_to_stream(document: Any, path: str) -> HttpAnswer:
    """What the server would have answered at `path` if it streamed. Raises `UnknownDocument`."""
    documents = document if isinstance(document, list) else [document]
    try:
        if failure := reported_failure(document):
            return failure
        if not all(_is_of_path(each, path) for each in documents):
            raise UnknownDocument
        return _encoded([event for each in documents for event in _events(each)], path)
    # A field of another type than its form has.
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnknownDocument from error


def reported_failure(document: Any) -> HttpAnswer | None:
    """What the server would have answered with the status of its error; None if `document` reports none."""
    reported = error_document(document)
    if reported is None:
        return None
    details = reported.get("error")
    return HttpAnswer(reported_status(details if isinstance(details, dict) else reported), JSON, _json(reported))


def is_unfinished(document: Any) -> bool:
    """Whether a choice of a whole answer of chat completions, or of Gemini, has no finish reason."""
    match document:
        case {"choices": [*choices]}:
            return any(isinstance(each, dict) and not each.get("finish_reason") for each in choices)
        case {"candidates": [*candidates]}:
            return any(isinstance(each, dict) and not each.get("finishReason") for each in candidates)
    return False


def _is_of_path(document: Object, path: str) -> bool:
    fields = next((found for end, found in FIELDS_AT.items() if path.endswith(end)), None)
    return fields is None or bool(fields & document.keys())


def _encoded(events: Sequence[Object], path: str) -> HttpAnswer:
    if not events:
        raise UnknownDocument
    if path.endswith(CONVERSE_PATH):
        frames = (aws_frame(name, _json(event)) for each in events for name, event in each.items())
        return HttpAnswer(OK, FRAMES, b"".join(frames))
    if path.endswith(INVOKE_PATH):
        return HttpAnswer(OK, FRAMES, b"".join(aws_model_frame(_json(event)) for event in events))
    if any("done" in event for event in events):
        return HttpAnswer(OK, LINES, b"".join(_json(event) + b"\n" for event in events))
    return HttpAnswer(OK, EVENTS, b"".join(b"data: " + _json(event) + b"\n\n" for event in events))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _events(document: Object) -> Iterator[Object]:
    match document:
        case {"choices": [*choices]}:
            yield _chunk(document, choices)
        case {"candidates": _} | {"promptFeedback": _} | {"usageMetadata": _} | {"error": _} | {"done": _}:
            # Gemini's and Ollama's documents have the form of an event.
            yield document
        case {"type": "message", "content": [*blocks]}:
            yield from _messages_events(document, blocks)
        case {"message": {"role": _}, "finish_reason": _}:
            yield from _cohere_events(document)
        case {"output": {"message": {"content": [*blocks]}}}:
            yield from _converse_events(document, blocks)
        case _:
            raise UnknownDocument


def _chunk(document: Object, choices: Sequence[Object]) -> Object:
    common = {"id": "", "created": 0, "model": "", "usage": None}
    deltas = [{**choice, "delta": _delta(choice.get("message") or choice.get("delta") or {})} for choice in choices]
    return {**common, **document, "object": "chat.completion.chunk", "choices": deltas}


def _delta(message: Object) -> Object:
    calls = message.get("tool_calls") or ()
    return {**message, "tool_calls": [{"index": index, **call} for index, call in enumerate(calls)] or None}


def _messages_events(document: Object, blocks: Sequence[Object]) -> Iterator[Object]:
    """https://docs.anthropic.com/en/api/messages-streaming"""
    yield {"type": "message_start", "message": {**document, "content": [], "stop_reason": None}}
    for index, block in enumerate(blocks):
        begun, deltas = _messages_deltas(block)
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if document.get("stop_reason"):
        end = {"stop_reason": document["stop_reason"], "stop_sequence": document.get("stop_sequence")}
        yield {"type": "message_delta", "delta": end, "usage": document.get("usage") or {}}
        yield {"type": "message_stop"}


def _messages_deltas(block: Object) -> tuple[Object, list[Object]]:
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
        case "thinking":
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            signature = {"type": "signature_delta", "signature": block.get("signature") or ""}
            return {**block, "thinking": "", "signature": ""}, [thought, signature]
        case "tool_use":
            given = json.dumps(block.get("input") or {})
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": given}]
    return block, []


def _cohere_events(document: Object) -> Iterator[Object]:
    """https://docs.cohere.com/v2/docs/streaming"""
    message = document["message"]
    for block in message.get("content") or ():
        yield {"type": "content-delta", "delta": {"message": {"content": block}}}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": call}}}
    end = {"finish_reason": document["finish_reason"], "usage": document.get("usage")}
    yield {"type": "message-end", "delta": end}


def _converse_events(document: Object, blocks: Sequence[Object]) -> Iterator[Object]:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html"""
    yield {"messageStart": {"role": "assistant"}}
    for index, block in enumerate(blocks):
        place = {"contentBlockIndex": index}
        begun, deltas = _converse_deltas(block)
        if begun:
            yield {"contentBlockStart": {**place, "start": begun}}
        for delta in deltas:
            yield {"contentBlockDelta": {**place, "delta": delta}}
        yield {"contentBlockStop": place}
    if document.get("stopReason"):
        end = {name: document[name] for name in ("stopReason", "additionalModelResponseFields") if name in document}
        yield {"messageStop": end}
        yield {"metadata": {"usage": document.get("usage") or {}, "metrics": document.get("metrics") or {}}}


def _converse_deltas(block: Object) -> tuple[Object | None, list[Object]]:
    match block:
        case {"toolUse": {**use}}:
            given = json.dumps(use.pop("input", None) or {})
            return {"toolUse": use}, [{"toolUse": {"input": given}}]
        case {"reasoningContent": {"reasoningText": {**parts}}}:
            return None, [{"reasoningContent": {name: part}} for name, part in parts.items() if part]
    return None, [block]
