"""A search engine on loopback, by script."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.http_server import serving


class ScriptedEngine:
    """Answers every request alike, and remembers what was asked and with which headers.

    The answer does not end while `may_end` is not set.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.answer: Any = {}
        self.encoding = ""
        self.may_end = Event()
        self.may_end.set()
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []


@contextmanager
def running_engine() -> Iterator[ScriptedEngine]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

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
            if engine.encoding:
                self.send_header("content-encoding", engine.encoding)
            self.end_headers()
            self.wfile.write(content[:1])
            engine.may_end.wait()
            self.wfile.write(content[1:])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a failed test shows what was asked."""

    with serving(Handler, has_daemon_threads=True) as port:
        engine = ScriptedEngine(f"http://127.0.0.1:{port}")
        try:
            yield engine
        finally:
            engine.may_end.set()
