"""Requests with JSON, by the standard library: `httpx` takes longer to import than such a request takes."""

import json
import os
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)


class Unreachable(Exception):
    """No answer came. `str()` of it is the reason."""


class UnusableHeader(Exception):
    """A header has characters that none can have. Its value may be a key, and is not reported."""


class JsonHttp:
    """The server at `url`. No redirect is followed: the key is for this server alone."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> None:
        """Raises `UnusableHeader`."""
        # The errors of `http.client` quote the value.
        if unusable := [name for name, value in headers.items() if not _is_sendable(value)]:
            raise UnusableHeader(unusable[0])
        self._url = url
        self._headers = headers
        self._timeout_seconds = timeout_seconds
        self._opener = OpenerDirector()
        for handler in (ProxyHandler(), HTTPHandler(), HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
            self._opener.add_handler(handler)
        if urlsplit(url).scheme == "https":
            self._opener.add_handler(HTTPSHandler(context=_tls()))

    def ask(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        """The status and the body of the answer. Raises `Unreachable`."""
        try:
            return self._open(self._request(method, path, query, body))
        except URLError as error:
            raise Unreachable(str(error.reason)) from error
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(str(error) or type(error).__name__) from error

    def _request(self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None) -> Request:
        url = f"{self._url}{path}?{urlencode(query)}" if query else f"{self._url}{path}"
        content = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, **({} if body is None else {"Content-Type": "application/json"})}
        return Request(url, content, headers, method=method)  # noqa: S310 - the opener knows no other schemes

    def _open(self, request: Request) -> tuple[int, bytes]:
        try:
            answer = self._opener.open(request, timeout=self._timeout_seconds)
        except HTTPError as refusal:
            answer = refusal
        if answer is None:
            raise ValueError("its address begins with neither http:// nor https://")
        with answer:
            return answer.status, answer.read()


def _is_sendable(value: str) -> bool:
    return value.isprintable() and value.encode("latin-1", "ignore").decode("latin-1") == value


def _tls() -> ssl.SSLContext:
    """With the authorities of `SSL_CERT_FILE` or `SSL_CERT_DIR`, otherwise with those of `certifi`, as httpx."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
