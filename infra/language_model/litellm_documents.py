"""Answers that a server sends as one JSON document although a stream was asked for, as openai's client leaves them."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
JSON_TYPE = "application/json"


def chunks_of(source: Any) -> AsyncIterator[Any]:
    """The chunks of `source`, a stream of openai's or litellm's; a document of chat completions is one chunk.

    Both look for events in a document, find none, and yield nothing.
    """
    if parse := _parser_of(source):
        response = getattr(source, "response", None) or getattr(source, "http_response", None)
        if str(getattr(response, "headers", {}).get("content-type", "")).startswith(JSON_TYPE):
            return _whole(response, parse)
    return aiter(source)


def _parser_of(source: Any) -> Callable[[dict[str, Any]], Any] | None:
    from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler
    from litellm.llms.openrouter.chat.transformation import OpenRouterChatCompletionStreamingHandler
    from openai import AsyncStream
    from openai.types.chat import ChatCompletionChunk

    match source:
        case AsyncStream():
            return lambda chunk: ChatCompletionChunk.construct(**chunk)
        case OpenAIChatCompletionStreamingHandler() | OpenRouterChatCompletionStreamingHandler():
            return source.chunk_parser
    return None


async def _whole(response: Any, parse: Callable[[dict[str, Any]], Any]) -> AsyncIterator[Any]:
    from openai import APIError

    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_DOCUMENT_BYTES:
                raise APIError("The answer has a piece without end.", response.request, body=None)
    finally:
        await response.aclose()
    document = json.loads(body)
    if error := document.get("error"):
        message = error.get("message") if isinstance(error, Mapping) else error
        raise APIError(str(message), response.request, body=error)
    yield parse(_as_chunk(document))


def _as_chunk(document: Mapping[str, Any]) -> dict[str, Any]:
    common = {"id": "", "created": 0, "model": "", "usage": None}
    choices = [{**choice, "delta": _as_delta(choice.get("message") or {})} for choice in document.get("choices") or ()]
    return {**common, **document, "choices": choices}


def _as_delta(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls") or ()
    return {**message, "tool_calls": [{"index": index, **call} for index, call in enumerate(calls)] or None}
