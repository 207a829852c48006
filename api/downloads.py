"""Answers with the bytes of an object, or with one range of them."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from models.file_errors import RangeNotSatisfiable

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
MEDIA_TYPE = "application/octet-stream"
UNQUOTED = re.compile(r"[^ !#-\[\]-~]")


class Download(StreamingResponse):
    """Closes its source however it ends, as where the client leaves."""

    def __init__(self, content: AsyncGenerator[bytes, None], status: int, headers: dict[str, str]) -> None:
        super().__init__(content, status, headers, MEDIA_TYPE)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._content):
            await super().__call__(scope, receive, send)


def requested_range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """First and last byte, both included; None: all of them. Raises `RangeNotSatisfiable`.

    Several ranges, and what is no range, count as none, as HTTP allows (RFC 9110, 14.2).
    """
    found = RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    match first, last:
        case "", "":
            return None
        case "", _:
            begin, end = max(0, size - int(last)), size - 1
        case _:
            begin, end = int(first), min(int(last or size), size - 1)
            if last and int(last) < begin:
                return None
    if begin > end:
        raise RangeNotSatisfiable(size)
    return begin, end


def download(
    content: AsyncGenerator[bytes, None], filename: str, size: int, etag: str, part: tuple[int, int] | None
) -> Download:
    """`content` is the bytes of `part`, or all of them."""
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": _disposition(filename),
        "etag": etag,
        # A page that was uploaded must not run where it is downloaded.
        "x-content-type-options": "nosniff",
    }
    if part is None:
        return Download(content, 200, headers | {"content-length": str(size)})
    first, last = part
    headers |= {"content-range": f"bytes {first}-{last}/{size}", "content-length": str(last - first + 1)}
    return Download(content, 206, headers)


def _disposition(filename: str) -> str:
    """In both encodings: RFC 6266 for those that know it, ASCII for the others."""
    plain = UNQUOTED.sub("_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
