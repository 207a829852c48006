"""Turns every error into OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.validation import first_error
from models.errors import ApiError

SERVER_ERROR = (
    "The server had an error processing your request. Sorry about that! You can retry your request, or look into the "
    "server's log if the error persists."
)

log = logging.getLogger(__name__)


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def envelope(status: int, message: str, kind: str, param: str | None = None, code: str | None = None) -> JSONResponse:
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return JSONResponse({"error": error}, status)


async def _api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class
    return envelope(error.status, error.message, error.type, error.param, error.code)


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return await _api_error(request, first_error(error.errors()))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """A path or method that is not there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    described = f"{request.method} {request.url.path}"
    message = f"Invalid URL ({described})" if error.status_code == 404 else f"{error.detail} ({described})"
    return envelope(error.status_code, message, "invalid_request_error")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("api.unexpected_error", exc_info=error, extra={"path": request.url.path})
    return envelope(500, SERVER_ERROR, "server_error")
