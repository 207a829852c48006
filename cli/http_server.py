"""uvicorn as a part of the program, which alone says when it stops, and as a server of nothing but HTTP/1."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OFFER_HEADERS = frozenset({b"upgrade", b"http2-settings"})


class HttpServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals stop the whole program: cli/lifetime.py.
        yield


class PlainHttp(HttpToolsProtocol):
    """A connection whose client may offer to go on in another protocol, and is answered in this one (RFC 9110, 7.8).

    Every `HttpClient` of Java offers h2c with its first request. uvicorn by itself stops reading at such an offer and
    loses the request's body (Kludex/uvicorn#2722).
    """

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            [end_of_headers] = offer.args
            self._read_again(data[end_of_headers:])
        except httptools.HttpParserError:
            self._refuse()

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _read_again(self, rest: bytes) -> None:
        """Read the request as if nothing had been offered; `rest` is what came after its headers."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse()
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, version), *_without_offer(self.headers), b"", rest]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join(lines))

    def _refuse(self) -> None:
        self.send_400_response("Invalid HTTP request received.")


def _without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() not in OFFER_HEADERS]
            if kept:
                yield b"connection:" + b",".join(kept)
        elif name not in OFFER_HEADERS:
            yield name + b": " + value
