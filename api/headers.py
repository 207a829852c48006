"""The headers that OpenAI's answers carry: the request's id, whose it was, the API's version, the time it took."""

import re
import secrets
import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SLASHES = re.compile("/{2,}")
API_VERSION = "2020-10-01"

EXPOSED_HEADERS = (
    "x-request-id",
    "openai-organization",
    "openai-version",
    "openai-processing-ms",
    "openai-poll-after-ms",
    "x-should-retry",
)
"""Those that scripts of web pages may read, which the SDKs are where they run in a browser."""


class ResponseHeaders:
    """Plain ASGI, as it stands on every request's path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        if "//" in scope["path"]:
            # As OpenAI's servers read it: programs join a base URL and a path that both have one.
            scope["path"] = SLASHES.sub("/", scope["path"])
        request_id = f"req_{secrets.token_hex(16)}"
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["openai-version"] = API_VERSION
                project = scope["state"].get("project", "")
                # Others fit no header.
                if project and project.isascii() and project.isprintable():
                    headers["openai-organization"] = project
                headers["openai-processing-ms"] = str(int((time.perf_counter() - began) * 1000))
            await send(message)

        await self._app(scope, receive, send_with_headers)
