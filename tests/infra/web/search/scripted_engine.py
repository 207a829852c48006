"""A search engine on loopback, by script."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.http_server import serving


class ScriptedEngine:
    """Answers every request alike, and remembers what was asked and with which headers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.answer: Any = {}
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []


@contextmanager
def running_engine() -> Iterator[ScriptedEngine]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _reply(self, asked: dict[str, Any]) -> None:
            engine.asked.append(asked)
            engine.headers.append({name.lower(): value for name, value in self.headers.items()})
            content = (engine.answer if isinstance(engine.answer, str) else json.dumps(engine.answer)).encode()
            self.send_response(engine.status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a failed test shows what was asked."""

    with serving(Handler) as port:
        engine = ScriptedEngine(f"http://127.0.0.1:{port}")
        yield engine
