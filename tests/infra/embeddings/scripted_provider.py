"""Embedding providers on loopback with wires of their own, Cohere's and Gemini's, by script."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from tests.http_server import serving
from tests.infra.embeddings.scripted_endpoint import Answer, vector

COHERE, GEMINI = "cohere", "gemini"


@dataclass(frozen=True)
class Asked:
    """A request, as both wires mean it. `purpose` is in the provider's words."""

    wire: str
    path: str
    model: str
    texts: Sequence[str]
    purpose: str | None
    dimensions: int | None
    key: str | None


@dataclass
class ScriptedProvider:
    """Answers from `script`; beyond it, with vectors of the texts alone. It waits while `may_answer` is not set."""

    url: str
    dimensions: int = 8
    script: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    may_answer: Event = field(default_factory=Event)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        self.may_answer.wait()
        if self.script:
            return self.script.popleft()
        return Answer(200, of_vectors(asked.wire, [vector(text, self.dimensions) for text in asked.texts]))


def of_vectors(wire: str, vectors: Sequence[Any]) -> Any:
    if wire == GEMINI:
        return {"embeddings": [{"values": each} for each in vectors]}
    return {"id": "1", "texts": [], "embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": 3}}}


@contextmanager
def running_provider() -> Iterator[ScriptedProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = provider.answer(_asked(self.path, body, self.headers))
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            with suppress(ConnectionError):  # The client may be gone.
                self.send_response(answer.status)
                for name, value in {"content-length": str(len(content)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a failed test shows the requests."""

    with serving(Handler) as port:
        provider = ScriptedProvider(f"http://127.0.0.1:{port}")
        provider.may_answer.set()
        try:
            yield provider
        finally:
            provider.may_answer.set()


def _asked(path: str, body: Any, headers: Any) -> Asked:
    if not path.endswith(":batchEmbedContents"):
        key = headers["authorization"].removeprefix("Bearer ")
        return Asked(COHERE, path, body["model"], body["texts"], body.get("input_type"), None, key)
    requests = body["requests"]
    [purpose] = {each.get("taskType") for each in requests}
    [dimensions] = {each.get("outputDimensionality") for each in requests}
    [model] = {each["model"] for each in requests}
    texts = [part["text"] for each in requests for part in each["content"]["parts"]]
    return Asked(GEMINI, path, model.removeprefix("models/"), texts, purpose, dimensions, headers["x-goog-api-key"])
