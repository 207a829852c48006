"""The wire of Bedrock's Converse."""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.provider.exchange import Exchange
from tests.provider.wires import halves

BEDROCK_USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


@dataclass(frozen=True)
class BedrockSays:
    """A streamed message of Bedrock's Converse, one content block after the other, in AWS's binary framing.

    A block is `{"text": …}`, `{"reasoningContent": {"text": …, "signature": …}}`, or `{"toolUse": …}`.
    """

    blocks: tuple[Mapping[str, Any], ...]
    stop_reason: str | None = "end_turn"

    async def send(self, exchange: Exchange) -> None:
        for event in self.events():
            await exchange.bytes(event)
        await exchange.end()

    @property
    def document(self) -> Mapping[str, Any]:
        """The message as one document, as if no stream had been asked for."""
        message = {"role": "assistant", "content": [_whole_block(block) for block in self.blocks]}
        about = {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 1}}
        return {"output": {"message": message}, "stopReason": self.stop_reason, **about}

    def events(self) -> Iterator[bytes]:
        yield _aws_event("messageStart", {"role": "assistant"})
        for index, block in enumerate(self.blocks):
            for name, event in _bedrock_events(block):
                yield _aws_event(name, {"contentBlockIndex": index, **event})
            yield _aws_event("contentBlockStop", {"contentBlockIndex": index})
        if self.stop_reason is not None:
            yield _aws_event("messageStop", {"stopReason": self.stop_reason})
            yield _aws_event("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 1}})


def _whole_block(block: Mapping[str, Any]) -> Mapping[str, Any]:
    match block:
        case {"reasoningContent": {"text": _} as parts}:
            return {"reasoningContent": {"reasoningText": parts}}
    return block


def _bedrock_events(block: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    match block:
        case {"toolUse": {"input": given, **use}}:
            pieces = [
                ("contentBlockDelta", {"delta": {"toolUse": {"input": each}}}) for each in halves(json.dumps(given))
            ]
            return [("contentBlockStart", {"start": {"toolUse": use}}), *pieces]
        case {"reasoningContent": parts}:
            return [
                ("contentBlockDelta", {"delta": {"reasoningContent": {name: part}}}) for name, part in parts.items()
            ]
        case {"text": text}:
            return [("contentBlockDelta", {"delta": {"text": half}}) for half in halves(text)]
    raise ValueError(block)


def _aws_event(name: str, event: Mapping[str, Any]) -> bytes:
    """https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html: lengths and checksums around each message."""
    given = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(_aws_header(*each) for each in given.items())
    payload = json.dumps(event).encode()
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


def _aws_header(name: str, text: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(text)) + text.encode()
