"""Reads JSON bodies: strictly, and only what can be stored. A body that is absent or empty counts as `{}`."""

import math
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from api.authentication import project_of
from api.problems import shortened
from models.errors import BodyTooLarge, InvalidRequest, Unauthenticated

NOT_JSON = (
    "Invalid body: failed to parse JSON value. Please check the value to ensure it is valid JSON. (Common errors "
    "include trailing commas, missing closing brackets, missing quotation marks, etc.)"
)
NOT_UNICODE = (
    "Invalid body: encountered a unicode decode error when parsing this JSON value. Please check the value to ensure "
    "it is valid unicode."
)
# Room for a hundred tool outputs of a hundred kilobytes, three times over.
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_READ_BYTES = 4 * MAX_BODY_BYTES
UNPARSABLE = "invalid_request_error"


class JsonRoute(APIRoute):
    """A route whose body, where it has one, is read by `parse`. Any other body is passed over."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None and self.methods == {"GET"}:
            return handle

        async def handle_bodyless(request: Request) -> Response:
            return await handle(_BodylessRequest(request))

        async def handle_json(request: Request) -> Response:
            await _check_key(request)
            content = await _read(request)
            if content:
                _check_content_type(request)
            body = parse(content or b"{}")
            # PHP writes an object without fields as a list without items.
            return await handle(_ParsedRequest(request, self.body_of(request, {} if body == [] else body)))

        return handle_bodyless if self.body_field is None else handle_json

    def body_of(self, request: Request, body: Any) -> Any:
        """The body that the route takes, from the one that was sent."""
        return body


class _ParsedRequest(Request):
    """What FastAPI takes its body from. It looks at the header first, which an empty body need not have."""

    def __init__(self, request: Request, body: Any) -> None:
        others = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        super().__init__({**request.scope, "headers": [*others, (b"content-type", b"application/json")]})
        self._body = b"{}"
        self._json = body


class _BodylessRequest(Request):
    """A request whose body means nothing to its route, and is not read."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, request.receive)
        self._body = b""


async def _check_key(request: Request) -> None:
    """Raises `Unauthenticated`, once the body was sent. Of what anyone may send nothing is kept, let alone read."""
    try:
        project_of(request)
    except Unauthenticated:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_READ_BYTES:
                break
        raise


async def _read(request: Request) -> bytes:
    """Raises `BodyTooLarge`, once the body was sent: a client that is cut off before sees no answer."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > MAX_READ_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    return b"".join(chunks)


def parse(content: bytes) -> Any:
    """Raises `InvalidRequest` for what is not JSON, nests too deep, or holds a value that cannot be stored."""
    try:
        body = from_json(content.decode(), allow_inf_nan=False)
    except UnicodeDecodeError as error:
        raise InvalidRequest(NOT_UNICODE, code=UNPARSABLE) from error
    except ValueError as error:
        raise InvalidRequest(NOT_JSON, code=UNPARSABLE) from error
    check_storable(body, "")
    return body


def _check_content_type(request: Request) -> None:
    # A web page may send a form or plain text to a server on this machine unasked; JSON the browser asks about first.
    given = request.headers.get("content-type", "")
    header = Message()
    header["content-type"] = given
    if header.get_content_type() != "application/json":
        shown = shortened(given)
        raise InvalidRequest(
            f"Unsupported content type: '{shown}'. This API method only accepts 'application/json' requests, but you "
            f"specified the header 'Content-Type: {shown}'. Please try again with a supported content type.",
            code="unsupported_content_type",
        )


def check_storable(value: Any, path: str) -> None:
    """Raises `InvalidRequest` for what stands in `value`, which is at `path`, and no database takes."""
    match value:
        case str() if "\0" in value:
            raise _unstorable(path, "string contains the null character, which is not supported")
        case float() if math.isinf(value):
            raise _unstorable(path, "number is out of range")
        case dict():
            for key, item in value.items():
                place = f"{path}.{key}" if path else key
                check_storable(key, place)
                check_storable(item, place)
        case list():
            for index, item in enumerate(value):
                check_storable(item, f"{path}[{index}]")


def _unstorable(path: str, reason: str) -> InvalidRequest:
    place = shortened(path.replace("\0", "\\u0000"))
    return InvalidRequest(f"Invalid '{place}': {reason}.", place or None, "invalid_value")
