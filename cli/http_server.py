"""uvicorn as a part of the program, which alone says when it stops, and as a server of nothing but HTTP/1."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_OFFERS = 16
"""In what is read at once: a client makes one with a request, and few send several requests without an answer."""

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
            for _ in range(MAX_OFFERS):
                try:
                    self.parser.feed_data(data)
                except httptools.HttpParserUpgrade as offer:
                    [end_of_headers] = offer.args
                    data = self._without_offer(data[end_of_headers:])
                else:
                    return
        except httptools.HttpParserError:
            pass
        self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _without_offer(self, rest: bytes) -> bytes:
        """The request as if nothing had been offered, for a new parser; `rest` is what came after its headers."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"%b %b HTTP/%b" % (method, self.url, version), *_kept(self.headers), b"", rest]
        return b"\r\n".join(lines)


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() not in OFFER_HEADERS]
            if kept:
                yield b"connection:" + b",".join(kept)
        elif name not in OFFER_HEADERS:
            yield name + b": " + value
