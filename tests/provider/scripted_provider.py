"""A model provider for tests: an HTTP server on loopback that streams OpenAI's chat completions by script."""

import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tests.provider.exchange import Exchange
from tests.provider.replies import Document, Fails, Hangs, Reply, WholeError
from tests.provider.signals import Signals
from tests.provider.wires import GeminiCandidates, model_of, wants_stream

SCRIPT_RAN_OUT = (
    "The script of model '{model}' has no reply left: call provider.script({model!r}, …) with more replies."
)
NOT_STREAMED = (Document, Fails, GeminiCandidates, Hangs, WholeError)
"""Replies to requests for a whole answer."""


@dataclass(frozen=True)
class Address:
    path: str
    query: str
    headers: Mapping[str, str]


class ScriptedProvider:
    """Answers `POST …/chat/completions` from a script per model name, so that tests that run in parallel don't meet.

    It has the wires of `wires.py` as well.

        with running_provider() as provider:
            provider.script("my-test", Calls(("get_weather", '{"city": "Rome"}')), Says("It is sunny."))

    Each request takes the next reply of its model (see `replies.py`); a request beyond the script is answered with a
    400 that says so. Requests are kept: `provider.requests("my-test")[0]["messages"]`. It is plain HTTP, so the client
    may be another process; only `script`, `Held.release`, … must be called in the process that runs the provider.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self._scripts: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._requests: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._addresses: defaultdict[str, list[Address]] = defaultdict(list)
        self._arrivals = Signals()
        self._disconnects = Signals()

    @classmethod
    def at(cls, url: str) -> "ScriptedProvider":
        """Another process's, for the files that lead to it."""
        return cls(int(url.rpartition(":")[2].partition("/")[0]))

    def script(self, model: str, *replies: Reply) -> None:
        """Add `replies` to the answers of `model`."""
        self._scripts[model].extend(replies)

    @property
    def models(self) -> frozenset[str]:
        """The names with a script, or with requests so far."""
        return frozenset(self._scripts) | frozenset(self._requests)

    def forget(self, models: Iterable[str]) -> None:
        """Begin anew with these names, for another test that has them too."""
        for kept in (self._scripts, self._requests, self._addresses, self._arrivals, self._disconnects):
            for model in models:
                kept.pop(model, None)

    def requests(self, model: str) -> list[dict[str, Any]]:
        """The JSON bodies of the requests for `model` so far, oldest first."""
        return list(self._requests[model])

    @property
    def root(self) -> str:
        """The address of wires that have another path than `/v1`."""
        return self.url.removesuffix("/v1")

    def addresses(self, model: str) -> list["Address"]:
        """Where each request for `model` was sent, and with which headers."""
        return list(self._addresses[model])

    async def requested(self, model: str) -> None:
        """Wait until there has been a request for `model`."""
        await self._arrivals[model].wait()

    async def disconnected(self, model: str) -> None:
        """Wait until a client has dropped the connection of a request for `model` before its reply was complete."""
        await self._disconnects[model].wait()

    def models_file(self, folder: Path, *deployments: Mapping[str, Any], **settings: Mapping[str, Any]) -> Path:
        """Write a HOLDFAST_MODELS file that routes every name to this provider, and any `deployments` beside that.

        `settings` are further top-level keys, such as `router_settings`.
        """
        everything = {"model_name": "*", "litellm_params": self.litellm_params("openai/*")}
        path = folder / "models.yaml"
        path.write_text(yaml.safe_dump({"model_list": [*map(dict, deployments), everything], **settings}))
        return path

    def litellm_params(self, model: str) -> dict[str, Any]:
        """Parameters with which a models file reaches this provider as `model`, for example `openai/gpt-4o`."""
        return {"model": model, "api_base": self.url, "api_key": "sk-scripted-provider"}

    def without_functions(self, model: str) -> dict[str, Any]:
        """A deployment for `models_file`: a model that calls tools in text, because it has no function calling."""
        params = self.litellm_params(f"openai/{model}")
        return {
            "model_name": model,
            "litellm_params": params,
            "model_info": {"supports_function_calling": False},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body, path = json.loads(await request.body() or b"{}"), request.url.path
        model = model_of(path, body)
        exchange = Exchange(body, receive, send, model)
        if request.method != "POST" or model is None:
            await exchange.fail(404, {"message": f"No route {request.method} {path}"})
        else:
            self._requests[exchange.model].append(body)
            self._addresses[exchange.model].append(Address(path, request.url.query, dict(request.headers)))
            self._arrivals[exchange.model].set()
            await self._answer(exchange, wants_stream(path, body))

    async def _answer(self, exchange: Exchange, is_streamed: bool) -> None:
        script = self._scripts[exchange.model]
        reply = script.popleft() if script else Fails(400, SCRIPT_RAN_OUT.format(model=exchange.model))
        if not (is_streamed or isinstance(reply, NOT_STREAMED)):
            reply = Fails(400, "The script has a stream here, and a whole answer is asked for.")
        try:
            await reply.send(exchange)
        finally:
            if exchange.client_is_gone:
                self._disconnects[exchange.model].set()


@contextmanager
def running_provider() -> Iterator[ScriptedProvider]:
    """Serve a `ScriptedProvider` on a free loopback port, in a thread of its own, until the block ends."""
    # IPPROTO_TCP named, or accepted sockets miss TCP_NODELAY and every chunk waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        provider = ScriptedProvider(listener.getsockname()[1])
        server = uvicorn.Server(_config(provider))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.force_exit = server.should_exit = True
            thread.join()


def _config(provider: ScriptedProvider) -> uvicorn.Config:
    # Silent: scripted failures are exceptions here.
    return uvicorn.Config(provider, log_config=None, log_level=1_000, lifespan="off", access_log=False)
