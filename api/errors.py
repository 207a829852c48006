"""Turns every error into OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.azure import IS_AZURE
from api.validation import first_error
from infra.database.outages import CommitUnknown, DatabaseUnavailable
from infra.embeddings.errors import EmbeddingFailed
from infra.object_store.errors import ObjectStoreUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from models.errors import (
    ApiError,
    ErrorEnvelope,
    InvalidRequest,
    MethodNotAllowed,
    OutcomeUnknown,
    Unavailable,
    UnknownUrl,
)
from models.file_errors import RangeNotSatisfiable, StoreUnavailable
from models.vector_store_errors import SearchUnavailable

SERVER_ERROR = (
    "The server had an error processing your request. Sorry about that! You can retry your request, or look into the "
    "server's log if the error persists."
)

# The SDKs repeat a request that is answered with 5xx, unless this header forbids it.
DO_NOT_RETRY = {"x-should-retry": "false"}

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that closed the connection before the response."""

log = logging.getLogger(__name__)


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DatabaseUnavailable, _database_unavailable)
    app.add_exception_handler(ObjectStoreUnavailable, _object_store_unavailable)
    app.add_exception_handler(RangeNotSatisfiable, _range_not_satisfiable)
    app.add_exception_handler(VectorIndexUnavailable, _search_unavailable)
    app.add_exception_handler(EmbeddingFailed, _search_unavailable)


class UnexpectedErrors:
    """Answers a crash with the error envelope. A middleware, so that this response too gets the common headers.

    Raises the error again if the response has begun: the server then breaks it off. A client that disconnects before
    its request is complete is no crash: it is counted as a 499, which is sent to nobody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            if not has_begun:
                await Response(status_code=CLIENT_CLOSED_REQUEST)(scope, receive, watched_send)
        except Exception as error:
            if has_begun or scope["type"] != "http":
                raise
            request_id = scope.get("state", {}).get("request_id")
            log.error("api.unexpected_error", exc_info=error, extra={"path": scope["path"], "request_id": request_id})
            await ErrorResponse(ApiError(SERVER_ERROR))(scope, receive, send)


class ErrorResponse(Response):
    """The envelope of an error. Azure's clients read a code in each."""

    def __init__(self, error: ApiError, headers: Mapping[str, str] | None = None, status: int | None = None) -> None:
        self._error, self._extra = error, headers
        super().__init__(status_code=status or error.status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        envelope = ErrorEnvelope.of(self._error).model_dump()
        if scope.get("state", {}).get(IS_AZURE):
            envelope["error"]["code"] = self._error.code or self._error.type
        await JSONResponse(envelope, self.status_code, self._extra)(scope, receive, send)


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    return ErrorResponse(error)


async def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return ErrorResponse(first_error(error.errors()))


async def _http_error(request: Request, error: Exception) -> Response:
    """An unknown path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if isinstance(error.__cause__, ClientDisconnect):
        # FastAPI turns an error while it reads a form into a response.
        raise error.__cause__
    match error.status_code:
        case 404:
            api_error: ApiError = UnknownUrl(request.method, request.url.path)
        case 405:
            api_error = MethodNotAllowed(request.method, request.url.path)
        case _:
            api_error = InvalidRequest(error.detail)
    return ErrorResponse(api_error, error.headers, error.status_code)


async def _database_unavailable(request: Request, error: Exception) -> Response:
    """If the outcome of a commit is unknown, the response instructs the SDKs not to repeat the request."""
    assert isinstance(error, DatabaseUnavailable)  # noqa: S101 - registered for this class
    log.error("api.database_unavailable", extra={"path": request.url.path, "reason": error.reason})
    if not isinstance(error, CommitUnknown):
        return ErrorResponse(Unavailable())
    return ErrorResponse(OutcomeUnknown(), None if "idempotency-key" in request.headers else DO_NOT_RETRY)


async def _object_store_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, ObjectStoreUnavailable)  # noqa: S101 - registered for this class
    log.error("api.object_store_unavailable", extra={"path": request.url.path, "reason": error.reason})
    return ErrorResponse(StoreUnavailable())


async def _range_not_satisfiable(_: Request, error: Exception) -> Response:
    assert isinstance(error, RangeNotSatisfiable)  # noqa: S101 - registered for this class
    return ErrorResponse(error, {"content-range": f"bytes */{error.size}"})


async def _search_unavailable(request: Request, error: Exception) -> Response:
    log.error("api.search_unavailable", extra={"path": request.url.path, "reason": repr(error)})
    return ErrorResponse(SearchUnavailable())
