"""The connections that litellm opens. They follow no redirects, and read a document in place of a stream as the stream.

litellm would follow a redirect with the prompt, and with keys that httpx knows no header of. In a document it looks for
events, finds none, and yields nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from infra.language_model.document_streams import (
    MAX_DOCUMENT_BYTES,
    DocumentTooLong,
    UnfinishedDocument,
    answer_to_stream,
    is_unfinished,
    parsed,
    reported_failure,
)
from infra.language_model.litellm_sent_requests import check_sent

LARGE_BYTES = 64 * 1024
"""Larger documents are read in a thread."""

STREAM_TYPES = ("application/x-ndjson", "application/jsonl", "application/stream+json", "application/vnd.amazon")
DOCUMENT_BEGINS = (b"{", b"[")
OF_THE_BODY = frozenset({"content-encoding", "content-length", "content-type", "transfer-encoding"})


def set_up_connections() -> None:
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, HTTPHandler
    from litellm.llms.openai.common_utils import BaseOpenAILLM
    from openai import _base_client

    handler: Any = AsyncHTTPHandler
    handler.create_client = _set_up(handler.create_client)
    # Some adapters for embeddings have no others.
    blocking: Any = HTTPHandler
    blocking.create_client = _blocking(blocking.create_client)
    openais: Any = BaseOpenAILLM
    openais._get_async_http_client = staticmethod(_set_up(openais._get_async_http_client))
    # The adapter for prompts in one text leaves the connection to OpenAI's client.
    wrapper: Any = _base_client.AsyncHttpxClientWrapper
    wrapper.send = _looking(wrapper.send)


def _set_up(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_client(*args: Any, **kwargs: Any) -> Any:
        client = create(*args, **kwargs)
        client.follow_redirects = False
        # A replaced `send` of the client would refer to it: litellm closes a client without referrers.
        client.__class__ = _DocumentReadingClient
        return client

    return create_client


def _blocking(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_client(*args: Any, **kwargs: Any) -> Any:
        client = create(*args, **kwargs)
        client.follow_redirects = False
        client.__class__ = _BlockingClient
        return client

    return create_client


def _looking(send: Callable[..., Awaitable[httpx.Response]]) -> Callable[..., Awaitable[httpx.Response]]:
    async def look_and_send(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        check_sent(request)
        return await send(client, request, **options)

    return look_and_send


class _BlockingClient(httpx.Client):
    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Raises `FieldNotTaken`."""
        check_sent(request)
        return super().send(request, **options)


class _DocumentReadingClient(httpx.AsyncClient):
    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Raises `DocumentTooLong` and `UnknownDocument` if a stream is asked for and a document comes.

        Raises `FieldNotTaken` before the request is sent.
        Raises `UnfinishedDocument` if a whole answer is asked for: litellm ends one without a reason with "stop".
        """
        check_sent(request)
        response = await super().send(request, stream=stream, **options)
        if not response.is_success:
            return response
        if not stream:
            return await _whole(response)
        try:
            return await _as_stream(response)
        except BaseException:
            await response.aclose()
            raise


async def _whole(response: httpx.Response) -> httpx.Response:
    """A whole answer, with the status of its error if it is one. Raises `UnfinishedDocument`."""
    body = response.content
    if not body.lstrip().startswith(DOCUMENT_BEGINS):
        return response
    document = await asyncio.to_thread(parsed, body) if len(body) > LARGE_BYTES else parsed(body)
    if failure := reported_failure(document):
        return _with(response, failure.status, failure.content_type, content=failure.body)
    if is_unfinished(document):
        raise UnfinishedDocument
    return response


async def _as_stream(response: httpx.Response) -> httpx.Response:
    content_type = response.headers.get("content-type", "")
    body = _Body(response)
    document = None if content_type.startswith(STREAM_TYPES) else await body.document()
    if document is None:
        return _with(response, response.status_code, content_type, stream=body)
    await response.aclose()
    answer = await body.in_time(answer_to_stream, document, response.request.url.path)
    return _with(response, answer.status, answer.content_type, content=answer.body)


def _with(response: httpx.Response, status: int, content_type: str, **body: Any) -> httpx.Response:
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in OF_THE_BODY]
    if content_type:
        headers.append(("content-type", content_type))
    return _Response(status, headers=headers, request=response.request, extensions=response.extensions, **body)


class _Response(httpx.Response):
    async def aiter_lines(self) -> AsyncIterator[str]:
        """Lines of events or of JSON. httpx ends lines at U+2028, U+2029 and U+0085 as well, which a text may have."""
        begun: list[bytes] = []
        async for piece in self.aiter_bytes():
            *ends, last = piece.split(b"\n")
            for end in ends:
                for line in b"".join([*begun, end]).splitlines() or [b""]:
                    yield line.decode("utf-8", "replace")
                begun.clear()
            begun.append(last)
        for line in b"".join(begun).splitlines():
            yield line.decode("utf-8", "replace")


class _Body(httpx.AsyncByteStream):
    """A body whose beginning is looked at before it is passed on. Its failures are raised where it is read.

    litellm sends a request again that fails before its response is there: the model would be asked twice.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._rest = response.aiter_bytes()
        self._pieces: list[bytes] = []
        self._size = 0
        self._failure: Exception | None = None
        self._is_complete = self._has_first_line = False

    @property
    def gathered(self) -> bytes:
        return b"".join(self._pieces)

    async def document(self) -> Any:
        """None if the body is no document, or breaks off. No event begins as one; lines of JSON do."""
        while await self._read() and not self._pieces[-1].strip():
            self._check_size()
        if not self.gathered.lstrip().startswith(DOCUMENT_BEGINS):
            return None
        while not self._is_of_lines() and await self._read():
            self._check_size()
        return await self.in_time(parsed, self.gathered) if self._is_complete else None

    async def in_time(self, read: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(read, *args) if self._size > LARGE_BYTES else read(*args)

    def _check_size(self) -> None:
        if self._size > MAX_DOCUMENT_BYTES:
            raise DocumentTooLong

    def _is_of_lines(self) -> bool:
        """Whether a line has arrived that is a document, and more after it."""
        if self._has_first_line or b"\n" not in self._pieces[-1]:
            return False
        first, _, rest = self.gathered.lstrip().partition(b"\n")
        self._has_first_line = bool(rest.strip())
        return self._has_first_line and parsed(first) is not None

    async def _read(self) -> bool:
        try:
            piece = await anext(self._rest, None)
        except (httpx.TransportError, httpx.DecodingError) as error:
            self._failure = error
            return False
        if piece is None:
            self._is_complete = True
            return False
        self._pieces.append(piece)
        self._size += len(piece)
        return True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.gathered
        self._pieces.clear()
        if self._failure is not None:
            raise self._failure
        async for piece in self._rest:
            yield piece

    async def aclose(self) -> None:
        await self._response.aclose()
