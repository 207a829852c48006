"""Reads JSON bodies strictly, and only values that can be stored. An absent or empty body counts as `{}`."""

import math
from collections.abc import Callable, Coroutine, Iterator
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from api.authentication import caller_of
from api.large_bodies import LARGE_BYTES, MAX_VALUES, off_the_loop, parse_large
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
    """A route whose body, if it takes one, is read by `parse`. A body that the route does not take is ignored."""

    max_values = MAX_VALUES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None and self.methods == {"GET"}:
            return handle

        def body_of(request: Request, content: bytes) -> Any:
            body = parse(content or b"{}", self.max_values)
            # PHP encodes an object without fields as an empty list.
            return self.body_of(request, {} if body == [] else body)

        async def handle_bodyless(request: Request) -> Response:
            return await handle(_BodylessRequest(request))

        async def handle_json(request: Request) -> Response:
            await _check_key(request)
            content = await _read(request)
            if content:
                _check_content_type(request)
            # Read by `off_the_loop`, for later work on the body as well.
            request.state.body_bytes = len(content)
            return await handle(_ParsedRequest(request, await off_the_loop(request, body_of, request, content)))

        return handle_bodyless if self.body_field is None else handle_json

    def body_of(self, request: Request, body: Any) -> Any:
        """The body for the route, from the one that was sent."""
        return body


class _ParsedRequest(Request):
    """The request from which FastAPI takes the parsed body. It requires a content type, which empty bodies may lack."""

    def __init__(self, request: Request, body: Any) -> None:
        others = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        scope = {**request.scope, "headers": [*others, (b"content-type", b"application/json")]}
        super().__init__(scope, request.receive)
        self._body = b"{}"
        self._json = body


class _BodylessRequest(Request):
    """A request whose body is not read, because its route takes none."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, request.receive)
        self._body = b""


async def _check_key(request: Request) -> None:
    """Raises `Unauthenticated`, once the body was sent. A body without a valid key is neither stored nor parsed."""
    try:
        caller_of(request)
    except Unauthenticated:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_READ_BYTES:
                break
        raise


async def _read(request: Request) -> bytes:
    """Raises `BodyTooLarge`, once the body was sent: a client whose upload is cut off sees no response."""
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


def parse(content: bytes, max_values: int = MAX_VALUES) -> Any:
    """Raises `InvalidRequest` for a text that is not JSON, nests too deep, or has a value that cannot be stored."""
    try:
        if len(content) > LARGE_BYTES:
            body = parse_large(content, max_values)
        else:
            body = from_json(content.decode(), allow_inf_nan=False)
    except UnicodeDecodeError as error:
        raise InvalidRequest(NOT_UNICODE, code=UNPARSABLE) from error
    except ValueError as error:
        raise InvalidRequest(NOT_JSON, code=UNPARSABLE) from error
    check_storable(body, "")
    return body


def _check_content_type(request: Request) -> None:
    # A web page may send a form or plain text to a server on this machine without permission; before JSON the browser
    # sends a preflight request.
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
    """Raises `InvalidRequest` if a value within `value`, which is at `path`, cannot be stored in a database."""
    # The path is built from the inside out, and only for an invalid value: bodies have thousands of values.
    if (found := _unstorable(value)) is not None:
        keys, reason = found
        for key in keys:
            path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
        place = shortened(path.replace("\0", "\\u0000"))
        raise InvalidRequest(f"Invalid '{place}': {reason}.", place or None, "invalid_value")


def _unstorable(value: Any) -> tuple[list[str | int], str] | None:
    """The path of the first value that cannot be stored, and the reason."""
    match value:
        case str() if "\0" in value:
            return [], "string contains the null character, which is not supported"
        case float() if math.isinf(value):
            return [], "number is out of range"
        case dict() | list():
            for key, item in _items(value):
                if (found := _unstorable(item)) is not None:
                    return [key, *found[0]], found[1]
    return None


def _items(container: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, Any]]:
    if isinstance(container, list):
        yield from enumerate(container)
        return
    for key, item in container.items():
        yield key, key
        yield key, item
