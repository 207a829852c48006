"""Servers on loopback that answer with what fetching has to survive, and remember who came."""

import gzip
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler

from tests.http_server import serving

MIB = 1024 * 1024
PAGE = b"<html><title>T</title><body><article><p>" + b"Hello world. " * 60 + b"</p></article></body></html>"
BOMB = gzip.compress(b"\0" * (100 * MIB), 1)


class HostileSite:
    """`visits` are the paths that were asked for, with the cookies that came along."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.visits: list[tuple[str, str | None]] = []

    def url(self, host: str, path: str = "/ok") -> str:
        return f"http://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: HostileSite

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self.site.visits.append((self.path, self.headers["cookie"]))
        path, _, query = self.path.partition("?")
        getattr(self, f"_{path.strip('/')}", self._missing)(query)

    def _send(self, body: bytes, status: int = 200, media_type: str = "text/html", **headers: str) -> None:
        self.send_response(status)
        sent = {"content_type": media_type, "content_length": str(len(body))} | headers
        for name, content in sent.items():
            self.send_header(name.replace("_", "-"), content)
        self.end_headers()
        self.wfile.write(body)

    def _missing(self, _: str) -> None:
        self._send(b"Nothing here", 404)

    def _ok(self, _: str) -> None:
        self._send(PAGE, media_type="text/html; charset=utf-8", set_cookie="seen=yes; Path=/")

    def _to(self, target: str) -> None:
        self._send(b"", 302, location=target)

    def _loop(self, _: str) -> None:
        self._send(b"", 302, location="/loop")

    def _zipped(self, _: str) -> None:
        self._send(gzip.compress(PAGE), content_encoding="gzip")

    def _bomb(self, _: str) -> None:
        self._send(BOMB, content_encoding="gzip")

    def _damaged(self, _: str) -> None:
        self._send(b"\x1f\x8b damaged", content_encoding="gzip")

    def _endless(self, media_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", media_type or "text/plain")
        self.send_header("content-length", str(1 << 40))
        self.end_headers()
        for _ in range(4000):
            self.wfile.write(b"x" * 65536)

    def _drip(self, query: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", "1000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def _silent(self, _: str) -> None:
        time.sleep(2)

    def _program(self, _: str) -> None:
        self._send(b"MZ", media_type="application/octet-stream")

    def _brotli(self, _: str) -> None:
        self._send(b"\0", content_encoding="br")

    def _headers(self, _: str) -> None:
        self.send_response(200)
        for each in range(160):
            self.send_header(f"x-{each}", "b" * 1000)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a failed test shows the visits."""


@contextmanager
def running_site(tls: ssl.SSLContext | None = None) -> Iterator[HostileSite]:
    handler = type("Handler", (_Handler,), {})
    with serving(handler, has_daemon_threads=True, tls=tls) as port:
        handler.site = site = HostileSite(port)  # type: ignore[attr-defined]
        yield site
