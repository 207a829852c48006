"""The code sandbox in a process of its own, over HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from infra.sandbox.errors import SandboxError, SandboxFileMissing, SandboxFileRefused, SandboxUnavailable
from infra.sandbox.wire import (
    ERRORS,
    HEALTH,
    KEEPALIVE_SECONDS,
    MAX_CODE_LENGTH,
    OPENED,
    REQUESTS,
    CellRequest,
    output_of,
)
from models.code_cells import (
    CellDone,
    CellEnding,
    CellOutput,
    OpenedSession,
    SandboxFile,
    SandboxHealth,
    SandboxSession,
    SessionFate,
    is_file_name,
)

LEAST_SECONDS = 0.1
UNREACHABLE = "The sandbox does not answer."
# While a box starts in a busy machine, an `open` may wait; cells send empty lines.
TIMEOUT = httpx.Timeout(60, connect=5, read=6 * KEEPALIVE_SECONDS)


class HttpCodeSandbox:
    """See `CodeSandbox`. `url` is `http://host:port` or `unix:///path`; the host may have several addresses."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        path = urlsplit(url).path if url.startswith("unix:") else None
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=path, limits=httpx.Limits(max_connections=None)),
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT,
        )

    async def close_connections(self) -> None:
        await self._client.aclose()

    async def health(self) -> SandboxHealth:
        return await self._health_of(self._as_configured)

    async def place(self) -> str:
        places = await self._places()
        if len(places) == 1:
            return places[0]
        found = await asyncio.gather(*map(self._load_of, places))
        load, place = min(zip(found, places, strict=True))
        if load == float("inf"):
            raise SandboxUnavailable(UNREACHABLE)
        return place

    async def open(self, session: SandboxSession) -> OpenedSession:
        async with self._asked("PUT", _path(session)) as response:
            return OPENED.validate_json(await response.aread())

    async def put_file(
        self, session: SandboxSession, file: SandboxFile, content: AsyncIterable[bytes], alias: str | None = None
    ) -> None:
        if not is_file_name(file.name):
            raise SandboxFileRefused(f"{file.name!r} is no name for a file in a session.")
        query = {"size": str(file.size), "sha256": file.sha256} | ({"alias": alias} if alias else {})
        path = f"{_path(session)}/files/{quote(file.name)}"
        async with self._asked("PUT", path, params=query, content=content):
            pass

    async def run(
        self, session: SandboxSession, call_id: str, code: str, time_limit: timedelta
    ) -> AsyncGenerator[CellOutput, None]:
        if len(code) > MAX_CODE_LENGTH:
            reason = f"The code is longer than {MAX_CODE_LENGTH:,} characters, so it was not run."
            yield CellDone(CellEnding.KILLED, SessionFate.KEPT, 0, reason)
            return
        # Models can write halves of characters, which are no text.
        whole = code.encode("utf-8", "replace").decode()
        body = REQUESTS.dump_json(CellRequest(whole, max(time_limit.total_seconds(), LEAST_SECONDS)))
        async with self._asked("POST", _cell(session, call_id), content=body) as response:
            async for line in _lines(response):
                output = output_of(line)
                yield output
                if isinstance(output, CellDone):
                    return
        raise SandboxUnavailable("The sandbox went away while the code ran.")

    async def image(self, session: SandboxSession, call_id: str, number: int) -> AsyncGenerator[bytes, None]:
        async with self._asked("GET", f"{_cell(session, call_id)}/images/{number}") as response:
            async for part in response.aiter_bytes():
                yield part

    async def fetch(self, session: SandboxSession, name: str) -> AsyncGenerator[bytes, None]:
        if not is_file_name(name):
            raise SandboxFileMissing(f"The session has no file {name!r}.")
        async with self._asked("GET", f"{_path(session)}/files/{quote(name)}") as response:
            async for part in response.aiter_bytes():
                yield part

    async def interrupt(self, session: SandboxSession, call_id: str) -> None:
        async with self._asked("POST", f"{_cell(session, call_id)}/interrupt"):
            pass

    async def acknowledge(self, session: SandboxSession, call_id: str) -> None:
        async with self._asked("DELETE", _cell(session, call_id)):
            pass

    async def close(self, session: SandboxSession) -> None:
        async with self._asked("DELETE", _path(session)):
            pass

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: str,
        content: AsyncIterable[bytes] | bytes | None = None,
        params: dict[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with self._client.stream(method, url, content=content, params=params) as response:
                if response.is_error:
                    raise _error(response.status_code, await response.aread(), response.headers.get("retry-after"))
                yield response
        except (httpx.HTTPError, ValidationError) as error:
            raise SandboxUnavailable(UNREACHABLE) from error

    async def _places(self) -> list[str]:
        parts = urlsplit(self._url)
        if parts.scheme != "http":
            return [self._as_configured]
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                parts.hostname, parts.port or 80, type=socket.SOCK_STREAM
            )
        except OSError as error:
            raise SandboxUnavailable(UNREACHABLE) from error
        return sorted({_address(family, where) for family, _, _, _, where in found})

    @property
    def _as_configured(self) -> str:
        return "http://sandbox" if self._url.startswith("unix:") else self._url.rstrip("/")

    async def _health_of(self, place: str) -> SandboxHealth:
        async with self._asked("GET", f"{place}/health") as response:
            return HEALTH.validate_json(await response.aread())

    async def _load_of(self, place: str) -> float:
        try:
            health = await self._health_of(place)
        except SandboxError:
            return float("inf")
        return health.sessions if health.isolation else float("inf")


def _address(family: int, where: tuple[object, ...]) -> str:
    host, port = where[:2]
    return f"http://[{host}]:{port}" if family == socket.AF_INET6 else f"http://{host}:{port}"


def _path(session: SandboxSession) -> str:
    return f"{session.place}/sessions/{quote(session.id, safe='')}/{session.generation}"


def _cell(session: SandboxSession, call_id: str) -> str:
    return f"{_path(session)}/cells/{quote(call_id, safe='')}"


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    # Not `aiter_lines`, which also breaks lines at characters that JSON leaves as they are.
    rest = b""
    async for part in response.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in filter(None, lines):
            yield line.decode()


def _error(status: int, body: bytes, retry_after: str | None) -> SandboxError:
    try:
        kind, message = _kind_and_message(body)
    except (ValueError, KeyError, TypeError):
        return SandboxUnavailable(f"The sandbox answered with status {status}.")
    if kind == "unavailable" or kind not in ERRORS:
        wait = timedelta(seconds=int(retry_after)) if retry_after and retry_after.isdigit() else None
        return SandboxUnavailable(message, wait)
    return ERRORS[kind](message)


def _kind_and_message(body: bytes) -> tuple[str, str]:
    error = json.loads(body)["error"]
    return str(error["kind"]), str(error["message"])
