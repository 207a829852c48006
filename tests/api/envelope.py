"""Assertions on error responses."""

from typing import Any

import httpx


def assert_error(
    response: httpx.Response,
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    kind: str = "invalid_request_error",
) -> None:
    """The response consists of exactly this envelope."""
    expected = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    assert (response.status_code, response.json()) == (status, expected)
    assert_has_headers(response)


def assert_refused(response: httpx.Response) -> dict[str, Any]:
    """The response is any 4xx in the envelope. Returns the error."""
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    error: dict[str, Any] = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert_has_headers(response)
    return error


def assert_has_headers(response: httpx.Response) -> None:
    assert len(response.headers["x-request-id"].removeprefix("req_")) == 32
    assert response.headers["openai-version"] == "2020-10-01"
    assert response.headers["openai-processing-ms"].isdecimal()
