"""A model provider that writes the send time into every chunk. A separate process; its argument is a port.

A model `stamps-<count>-<milliseconds>` sends `count` chunks at that interval. Each is its number and nanoseconds since
the epoch, as in "7:1767225600000000000 ".
"""

import asyncio
import json
import sys
import time

import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tests.provider.exchange import Exchange

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def model_name(chunks: int, interval_ms: int) -> str:
    return f"stamps-{chunks}-{interval_ms}"


async def provider(scope: Scope, receive: Receive, send: Send) -> None:
    body = json.loads(await Request(scope, receive).body())
    exchange = Exchange(body, receive, send)
    _, chunks, interval_ms = exchange.model.split("-")
    for number in range(int(chunks)):
        if number:
            await asyncio.sleep(int(interval_ms) / 1000)
        await exchange.delta({"role": "assistant", "content": f"{number}:{time.time_ns()} "})
    await exchange.delta({}, finish_reason="stop")
    await exchange.chunk({"choices": [], "usage": USAGE})
    await exchange.done()


if __name__ == "__main__":
    uvicorn.run(provider, port=int(sys.argv[1]), loop="uvloop", log_level="warning", lifespan="off", access_log=False)
