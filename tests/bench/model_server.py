"""The model of `make bench`, an OpenAI-compatible server of minimal cost. A separate process; its argument is a port.

A model `words-<count>-<first>-<interval>` sends `count` words: the first after `first` milliseconds, the others
`interval` apart. If functions are offered and the last message is a user's, it calls the first of them.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

USAGE = {"prompt_tokens": 10, "completion_tokens": 16, "total_tokens": 26}
CALL = {"id": "call_bench", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
HEADERS = {
    True: [(b"content-type", b"text/event-stream")],
    False: [(b"content-type", b"application/json")],
}


@dataclass(frozen=True)
class BenchModel:
    words: int = 16
    first_ms: int = 0
    interval_ms: int = 0

    @classmethod
    def named(cls, name: str) -> "BenchModel":
        return cls(*map(int, name.split("-")[1:]))

    @property
    def name(self) -> str:
        return f"words-{self.words}-{self.first_ms}-{self.interval_ms}"


async def model(scope: Scope, receive: Receive, send: Send) -> None:
    body = json.loads(await Request(scope, receive).body())
    name, is_streamed = body["model"], body.get("stream", False)
    spec = BenchModel.named(name)
    calls = bool(body.get("tools")) and body["messages"][-1]["role"] == "user"
    await asyncio.sleep(spec.first_ms / 1000)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS[is_streamed]})
    if not is_streamed:
        await send({"type": "http.response.body", "body": whole_answer(name, calls)})
        return
    for number, piece in enumerate(streamed_answer(name, calls)):
        if number and spec.interval_ms:
            await asyncio.sleep(spec.interval_ms / 1000)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


@lru_cache
def whole_answer(name: str, calls: bool) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else " ".join(_words(name))}
    if calls:
        message["tool_calls"] = [CALL]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    answer = {"object": "chat.completion", "choices": [choice], "usage": USAGE}
    return json.dumps({**_envelope(name), **answer}).encode()


@lru_cache
def streamed_answer(name: str, calls: bool) -> list[bytes]:
    """One chunk per word; the last one also has the finish reason and the usage."""
    if calls:
        return [b"".join(_chunks(name, [{"role": "assistant", "tool_calls": [{"index": 0, **CALL}]}], "tool_calls"))]
    words = [{"role": "assistant", "content": f"{word} "} for word in _words(name)]
    *deltas, finish, usage = _chunks(name, words, "stop")
    return [*deltas[:-1], deltas[-1] + finish + usage]


def _chunks(name: str, deltas: list[dict[str, Any]], finish_reason: str) -> list[bytes]:
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    chunks: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
    chunks.append({"choices": [], "usage": USAGE})
    return [
        f"data: {json.dumps({**_envelope(name), 'object': 'chat.completion.chunk', **chunk})}\n\n".encode()
        for chunk in chunks
    ]


def _words(name: str) -> list[str]:
    return [f"word{number}" for number in range(BenchModel.named(name).words)]


def _envelope(name: str) -> dict[str, Any]:
    return {"id": "chatcmpl-bench", "created": 1, "model": name}


if __name__ == "__main__":
    uvicorn.run(model, port=int(sys.argv[1]), loop="uvloop", log_level="warning", lifespan="off", access_log=False)
