"""The wires of providers that do not speak OpenAI's chat completions: Anthropic, Gemini, Cohere and Ollama's own."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.provider.exchange import Exchange

GEMINI_PATH = re.compile(r"/models/(?P<model>[^/]+):(?P<method>generateContent|streamGenerateContent)$")
BEDROCK_PATH = re.compile(r"/model/(?P<model>[^/]+)/(converse-stream|invoke-with-response-stream)$")
GEMINI_USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
COHERE_USAGE = {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 10, "output_tokens": 5}}
PATHS = ("/chat/completions", "/v1/messages", "/v2/chat", "/api/chat", "/api/generate")


def model_of(path: str, body: Mapping[str, Any]) -> str | None:
    """The model that a request is for; None for a path that no wire has."""
    if named := GEMINI_PATH.search(path) or BEDROCK_PATH.search(path):
        return named["model"]
    return str(body.get("model")) if path.endswith(PATHS) else None


def wants_stream(path: str, body: Mapping[str, Any]) -> bool:
    if named := GEMINI_PATH.search(path):
        return named["method"] == "streamGenerateContent"
    return bool(BEDROCK_PATH.search(path) or body.get("stream"))


@dataclass(frozen=True)
class ClaudeSays:
    """A streamed message of Anthropic's wire, one content block after the other. Without a reason it breaks off."""

    blocks: tuple[Mapping[str, Any], ...]
    stop_reason: str | None = "end_turn"
    output_tokens: int = 5

    async def send(self, exchange: Exchange) -> None:
        usage = {"input_tokens": 10, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": exchange.model, "content": []}
        await exchange.named_event("message_start", {"message": {**message, "stop_reason": None, "usage": usage}})
        for index, block in enumerate(self.blocks):
            await _claude_block(exchange, index, block)
        if self.stop_reason is None:
            await exchange.end()
            return
        end = {"stop_reason": self.stop_reason, "stop_sequence": None}
        await exchange.named_event("message_delta", {"delta": end, "usage": {"output_tokens": self.output_tokens}})
        await exchange.named_event("message_stop", {})
        await exchange.end()

    @property
    def document(self) -> Mapping[str, Any]:
        """The message as one document, as if no stream had been asked for."""
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": self.blocks}
        usage = {"input_tokens": 10, "output_tokens": self.output_tokens}
        return {**message, "stop_reason": self.stop_reason, "stop_sequence": None, "usage": usage}


async def _claude_block(exchange: Exchange, index: int, block: Mapping[str, Any]) -> None:
    begun, deltas = _claude_deltas(block)
    await exchange.named_event("content_block_start", {"index": index, "content_block": begun})
    for delta in deltas:
        await exchange.named_event("content_block_delta", {"index": index, "delta": delta})
    await exchange.named_event("content_block_stop", {"index": index})


def _claude_deltas(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    match block["type"]:
        case "thinking":
            words = [{"type": "thinking_delta", "thinking": word} for word in halves(block["thinking"])]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*words, signature]
        case "tool_use":
            pieces = halves(json.dumps(block["input"]))
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        case "text":
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": t} for t in halves(block["text"])]
    return block, []


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


@dataclass(frozen=True)
class GeminiSays:
    """A streamed answer of Gemini's wire, one chunk for each part."""

    parts: tuple[Mapping[str, Any], ...]
    finish: str | None = "STOP"

    async def send(self, exchange: Exchange) -> None:
        for chunk in self.documents:
            await exchange.event(json.dumps(chunk))
        await exchange.end()

    @property
    def documents(self) -> list[Mapping[str, Any]]:
        """The chunks as a list, as if no events had been asked for."""
        last = self._response({"text": ""}, finishReason=self.finish)
        return [*map(self._response, self.parts), {**last, "usageMetadata": GEMINI_USAGE}]

    @property
    def document(self) -> Mapping[str, Any]:
        """The answer as one document, as if no stream had been asked for."""
        return {**self._response(*self.parts, finishReason=self.finish), "usageMetadata": GEMINI_USAGE}

    def _response(self, *parts: Mapping[str, Any], **about: Any) -> Mapping[str, Any]:
        return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **about}]}


@dataclass(frozen=True)
class GeminiCandidates:
    """A whole answer of Gemini's wire, or, if `is_streamed`, an event for each candidate."""

    candidates: tuple[Mapping[str, Any], ...]
    is_streamed: bool = False

    async def send(self, exchange: Exchange) -> None:
        if not self.is_streamed:
            await exchange.document({"candidates": self.candidates, "usageMetadata": GEMINI_USAGE})
            return
        *before, last = self.candidates
        for candidate in before:
            await exchange.event(json.dumps({"candidates": [candidate]}))
        await exchange.event(json.dumps({"candidates": [last], "usageMetadata": GEMINI_USAGE}))
        await exchange.end()


def gemini_candidate(text: str, finish: str | None = "STOP", index: int = 0, **fields: Any) -> dict[str, Any]:
    """`logprobs` of its tokens, as Gemini has them, by `logprobsResult`."""
    reason = {"finishReason": finish} if finish else {}
    return {"index": index, "content": {"role": "model", "parts": [{"text": text}]}, **reason, **fields}


@dataclass(frozen=True)
class CohereSays:
    """A streamed message of Cohere's wire; `calls` are `(name, arguments)`. Without a reason it breaks off."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str | None = "COMPLETE"
    thought: str = ""
    are_lines: bool = False
    """Lines of JSON in place of events."""

    async def send(self, exchange: Exchange) -> None:
        events = [json.dumps(event) for event in self.events]
        if self.are_lines:
            await exchange.lines(events)
            return
        for event in events:
            await exchange.event(event)
        await exchange.end()

    @property
    def events(self) -> list[Mapping[str, Any]]:
        events = [_cohere_event("message-start", {"role": "assistant", "content": [], "tool_calls": []})]
        events.append(_cohere_event("tool-plan-delta", {"tool_plan": "I will call."}))
        events.append(_cohere_event("content-delta", {"content": {"thinking": self.thought}}))
        events += [_cohere_event("content-delta", {"content": {"text": half}}) for half in halves(self.text)]
        for index, call in enumerate(self._calls):
            begun = {**call, "function": {**call["function"], "arguments": ""}}
            pieces = [{"function": {"arguments": half}} for half in halves(call["function"]["arguments"])]
            events.append(_cohere_event("tool-call-start", {"tool_calls": begun}, index))
            events += [_cohere_event("tool-call-delta", {"tool_calls": piece}, index) for piece in pieces]
            events.append({"type": "tool-call-end", "index": index})
        if self.finish is not None:
            events.append({"type": "message-end", "delta": {"finish_reason": self.finish, "usage": COHERE_USAGE}})
        return events

    @property
    def document(self) -> Mapping[str, Any]:
        """The message as one document, as if no stream had been asked for."""
        content = [{"type": "text", "text": self.text}] if self.text else []
        message = {"role": "assistant", "content": content, "tool_calls": self._calls, "tool_plan": "I will call."}
        return {"id": "x", "finish_reason": self.finish, "message": message, "usage": COHERE_USAGE}

    @property
    def _calls(self) -> list[dict[str, Any]]:
        return [
            {"id": f"{name}_1", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in self.calls
        ]


def _cohere_event(kind: str, message: Mapping[str, Any], index: int = 0) -> Mapping[str, Any]:
    return {"type": kind, "index": index, "delta": {"message": message}}


@dataclass(frozen=True)
class OllamaSays:
    """A streamed answer of Ollama's own wire: lines of JSON; `calls` are `(name, arguments)`."""

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    async def send(self, exchange: Exchange) -> None:
        await exchange.lines(self.lines(exchange.model))

    def lines(self, model: str) -> list[str]:
        envelope = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
        calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in self.calls]
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        messages = [{**message, "content": half} for half in halves(self.text)]
        if calls:
            messages.append({**message, "tool_calls": calls})
        lines = [{**envelope, "message": each, "response": each["content"], "done": False} for each in messages]
        end = {"done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5}
        lines.append({**envelope, "message": message, "response": "", **end})
        return [json.dumps(line) for line in lines]
