"""An endpoint on loopback that speaks OpenAI's `/v1/embeddings`, by script."""

import json
import random
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from tests.http_server import serving


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class ScriptedEndpoint:
    """Answers from `script`; beyond it, with vectors that depend on the text alone, not of unit length.

    Requests after the first `waits_after` wait while `may_answer` is not set, those with a text that is `held` for its
    event. `asked` has the times, in seconds since the epoch, at which each text came.
    """

    def __init__(self, url: str, dimensions: int) -> None:
        self.url = url
        self.dimensions = dimensions
        self.script: deque[Answer] = deque()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.organizations: list[str | None] = []
        self.waits_after = 0
        self.may_answer = Event()
        self.may_answer.set()
        self.held: dict[str, Event] = {}
        self.asked: defaultdict[str, list[float]] = defaultdict(list)

    def hold(self, *texts: str) -> Event:
        """Hold requests with one of these texts until the event is set."""
        event = Event()
        self.held.update(dict.fromkeys(texts, event))
        return event

    def release(self) -> None:
        """Hold nothing any more."""
        for event in (self.may_answer, *self.held.values()):
            event.set()

    def answer(self, request: dict[str, Any], key: str | None) -> Answer:
        self.requests.append(request)
        self.keys.append(key)
        for text in request["input"]:
            self.asked[text].append(time.time())
        if len(self.requests) > self.waits_after:
            self.may_answer.wait()
        for text in request["input"]:
            if text in self.held:
                self.held[text].wait()
        if self.script:
            return self.script.popleft()
        length = request.get("dimensions", self.dimensions)
        data = [
            {"object": "embedding", "index": index, "embedding": vector(text, length)}
            for index, text in enumerate(request["input"])
        ]
        return Answer(200, {"object": "list", "data": list(reversed(data)), "model": request["model"]})


@contextmanager
def running_endpoint(dimensions: int = 8) -> Iterator[ScriptedEndpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.path == "/v1/embeddings"
            endpoint.organizations.append(self.headers["openai-organization"])
            answer = endpoint.answer(body, self.headers["authorization"])
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"content-length": str(len(content)), **answer.headers}.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # The client may be gone: killed, by a test.
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a failed test shows the requests."""

    with serving(Handler) as port:
        endpoint = ScriptedEndpoint(f"http://127.0.0.1:{port}/v1", dimensions)
        try:
            yield endpoint
        finally:
            endpoint.release()


def vector(text: str, length: int) -> Sequence[float]:
    of_text = random.Random(text)
    return [of_text.uniform(-3, 3) for _ in range(length)]
