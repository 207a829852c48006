"""The headers of OpenAI's responses: the request's id, its project, the API's version, the processing time."""

import re
import secrets
import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SLASHES = re.compile("/{2,}")
API_VERSION = "2020-10-01"
POLL_AFTER = "openai-poll-after-ms"

EXPOSED_HEADERS = (
    "x-request-id",
    "openai-organization",
    "openai-version",
    "openai-processing-ms",
    POLL_AFTER,
    "x-should-retry",
)
"""Headers that scripts of web pages may read, such as the SDKs in a browser."""


class ResponseHeaders:
    """Plain ASGI, because it runs on every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        if "//" in scope["path"]:
            # OpenAI's servers collapse slashes too: programs join a base URL and a path that both have one.
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
                # Other characters are not allowed in a header.
                if project and project.isascii() and project.isprintable():
                    headers["openai-organization"] = project
                headers["openai-processing-ms"] = str(int((time.perf_counter() - began) * 1000))
            await send(message)

        await self._app(scope, receive, send_with_headers)
