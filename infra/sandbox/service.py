"""The HTTP service of a sandbox process. Its only client is `HttpCodeSandbox`."""

import asyncio
import hmac
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from infra.sandbox.cells import Cell
from infra.sandbox.errors import SandboxError, SandboxFileRefused, SandboxUnavailable
from infra.sandbox.received import received
from infra.sandbox.sandbox import Sandbox
from infra.sandbox.sessions import Session
from infra.sandbox.wire import HEALTH, KEEPALIVE_SECONDS, KINDS, MAX_CODE_LENGTH, OPENED, REQUESTS, line_of
from models.code_cells import SandboxFile

READ_BYTES = 256 * 1024
SESSION = "/sessions/{session_id}/{generation:int}"
CELL = f"{SESSION}/cells/{{call_id}}"

Handler = Callable[[Request], Awaitable[Response]]


def create_service(sandbox: Sandbox, token: str) -> Starlette:
    """`token` is the secret that requests need; without one, none do."""
    service = _Service(sandbox)
    routes: list[tuple[str, str, Handler]] = [
        ("PUT", SESSION, service.open),
        ("DELETE", SESSION, service.close),
        ("PUT", f"{SESSION}/files/{{name:path}}", service.put_file),
        ("GET", f"{SESSION}/files/{{name:path}}", service.fetch),
        ("POST", CELL, service.run),
        ("DELETE", CELL, service.acknowledge),
        ("POST", f"{CELL}/interrupt", service.interrupt),
        ("GET", f"{CELL}/images/{{number:int}}", service.image),
    ]
    return Starlette(
        routes=[
            Route("/health", service.health, methods=["GET"]),
            *(Route(path, _guarded(handler, token), methods=[method]) for method, path, handler in routes),
        ]
    )


class _Service:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def health(self, request: Request) -> Response:
        return _json(HEALTH.dump_json(self._sandbox.health()))

    async def open(self, request: Request) -> Response:
        place = request.path_params
        return _json(OPENED.dump_json(await self._sandbox.open(place["session_id"], place["generation"])))

    async def close(self, request: Request) -> Response:
        place = request.path_params
        await self._sandbox.close(place["session_id"], place["generation"])
        return Response(status_code=204)

    async def put_file(self, request: Request) -> Response:
        session, asked = self._session(request), request.query_params
        try:
            file = SandboxFile(request.path_params["name"], int(asked["size"]), asked["sha256"])
        except (KeyError, ValueError) as error:
            raise SandboxFileRefused("A file needs its size and its sha256.") from error
        used = await asyncio.to_thread(session.folder.used)
        if used.size + file.size > self._sandbox.limits.disk or used.count >= self._sandbox.limits.files:
            raise SandboxFileRefused(f"There is no room for {file.name} in the session.")
        async with received(request.stream(), file, self._sandbox.incoming) as content:
            await asyncio.to_thread(session.folder.put, content, file, asked.get("alias"))
        return Response(status_code=204)

    async def fetch(self, request: Request) -> Response:
        descriptor = await asyncio.to_thread(self._session(request).folder.open, request.path_params["name"])
        return _bytes(descriptor)

    async def run(self, request: Request) -> Response:
        session = self._session(request)
        asked = REQUESTS.validate_json(await _body(request))
        cell = session.run(request.path_params["call_id"], asked.code, timedelta(seconds=asked.time_limit_seconds))
        return StreamingResponse(_lines(cell), media_type="application/x-ndjson")

    async def acknowledge(self, request: Request) -> Response:
        self._session(request).acknowledge(request.path_params["call_id"])
        return Response(status_code=204)

    async def interrupt(self, request: Request) -> Response:
        self._session(request).interrupt(request.path_params["call_id"])
        return Response(status_code=204)

    async def image(self, request: Request) -> Response:
        path = self._session(request).cell(request.path_params["call_id"]).image(request.path_params["number"])
        return _bytes(os.open(path, os.O_RDONLY))

    def _session(self, request: Request) -> Session:
        return self._sandbox.session(request.path_params["session_id"], request.path_params["generation"])


def _guarded(handler: Handler, token: str) -> Handler:
    expected = f"Bearer {token}".encode()

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if token and not hmac.compare_digest(given, expected):
            return _error("unauthorized", "The request does not have the sandbox's token.", 401)
        try:
            return await handler(request)
        except SandboxError as error:
            kind, status = KINDS[type(error)]
            answer = _error(kind, str(error), status)
            if isinstance(error, SandboxUnavailable) and error.retry_after:
                answer.headers["retry-after"] = str(int(error.retry_after.total_seconds()))
            return answer
        except ValidationError as error:
            return _error("invalid", f"{error.error_count()} fields are wrong.", 400)

    return guarded


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > 8 * MAX_CODE_LENGTH:
            break
    return bytes(body)


async def _lines(cell: Cell) -> AsyncIterator[bytes]:
    outputs = cell.read()
    following = asyncio.ensure_future(anext(outputs, None))
    try:
        while True:
            await asyncio.wait([following], timeout=KEEPALIVE_SECONDS)
            if not following.done():
                yield b"\n"
            elif (output := following.result()) is None:
                return
            else:
                yield line_of(output)
                following = asyncio.ensure_future(anext(outputs, None))
    finally:
        following.cancel()
        await asyncio.wait([following])
        await outputs.aclose()


def _bytes(descriptor: int) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        with os.fdopen(descriptor, "rb", 0) as file:
            while part := await asyncio.to_thread(file.read, READ_BYTES):
                yield part

    return StreamingResponse(parts(), media_type="application/octet-stream")


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


def _error(kind: str, message: str, status: int) -> Response:
    error: dict[str, Any] = {"error": {"kind": kind, "message": message}}
    return _json(json.dumps(error).encode(), status)
