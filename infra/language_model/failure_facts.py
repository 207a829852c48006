"""The known facts of a failed call, from litellm's exception and its causes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from infra.language_model.failure_message import message_of, without_wrapping

MAX_CHAIN_LENGTH = 8
TOO_LARGE = 413
REDIRECTS = range(300, 400)
ERROR_STATUSES = range(400, 600)
STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": TOO_LARGE,
    "rate_limit_error": 429,
}
"""Of errors that come with the status of a success: OpenAI's and Anthropic's types. Any other may pass."""

VENDOR_PACKAGES = frozenset({"litellm", "openai", "httpx", "httpcore", "aiohttp", "anthropic", "botocore"})


@dataclass(frozen=True)
class FailureFacts:
    """`status` is the provider's HTTP status, or litellm's choice if there was no response."""

    status: int | None
    has_answer: bool
    codes: frozenset[str]
    headers: Mapping[str, str]
    said: str
    is_connection_failure: bool
    class_names: frozenset[str]


def facts_of(error: BaseException) -> FailureFacts:
    # litellm wraps the error of a broken stream once more, and stores the original.
    error = getattr(error, "original_exception", None) or error
    chain = list(_chain(error))
    if redirect := _redirect(chain):
        return redirect
    headers: Mapping[str, str] | None = _first(chain, "litellm_response_headers") or _headers_of_answer(chain)
    body: Mapping[str, Any] = next((item.body for item in chain if isinstance(_body(item), Mapping)), {})
    return FailureFacts(
        status=_status(error, chain, headers is not None),
        has_answer=headers is not None,
        codes=frozenset(str(body[key]) for key in ("code", "type") if body.get(key)),
        headers={name.lower(): value for name, value in (headers or {}).items()},
        said=message_of(body) or _connection_failure(chain) or _told(error, is_of_vendor=bool(chain)),
        is_connection_failure=any(isinstance(item, OSError) for item in chain),
        class_names=frozenset(base.__name__ for base in type(error).__mro__),
    )


def error_document(content: Any) -> Mapping[str, Any] | None:
    """The object that reports an error in place of an answer; Gemini's endpoint sends it in a list. None: no error."""
    while isinstance(content, list) and content:
        content = content[0]
    if isinstance(content, dict) and (content.get("error") or content.get("object") == "error"):
        return content
    return None


def reported_status(error: Mapping[str, Any]) -> int:
    """The HTTP status of an error that is reported in a stream, or in a document in place of one."""
    code = error.get("code")
    if isinstance(code, int) and code in ERROR_STATUSES:
        return code
    return STATUS_OF_TYPE.get(str(error.get("type")), 500)


def redirected(status: int, location: str) -> FailureFacts:
    """The facts of a redirect. It names only the host of `location`: the rest may have secrets."""
    host = _host(location)
    said = f"It redirects{f' to {host}' if host else ''}, and redirects are not followed: correct the model's address."
    return FailureFacts(status, True, frozenset(), {}, said, False, frozenset())


def _host(location: str) -> str:
    try:
        return urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _redirect(chain: list[Any]) -> FailureFacts | None:
    responses: list[Any] = [getattr(item, "response", None) for item in chain]
    redirects = [each for each in responses if getattr(each, "status_code", None) in REDIRECTS]
    if not redirects:
        return None
    # litellm's own exception has a response without headers.
    location = next((each.headers["location"] for each in redirects if "location" in each.headers), "")
    return redirected(redirects[0].status_code, location)


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and those that it was made from: litellm makes one of its own from every one of its connections."""
    for _ in range(MAX_CHAIN_LENGTH):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _chain(error: BaseException | None) -> Iterator[Any]:
    # Only vendors' exceptions, and system errors below them: further causes may be unrelated errors of the caller.
    for _ in range(MAX_CHAIN_LENGTH):
        if error is None or not (_package(error) in VENDOR_PACKAGES or isinstance(error, OSError)):
            return
        yield error
        error = error.__cause__ or error.__context__


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _headers_of_answer(chain: list[Any]) -> Mapping[str, str] | None:
    """litellm's own exceptions have a response without headers."""
    headers = (getattr(getattr(item, "response", None), "headers", None) for item in chain)
    return next((each for each in headers if each), None)


def _body(error: BaseException) -> Any:
    return getattr(error, "body", None)


def _first(chain: list[Any], attribute: str) -> Any:
    return next((value for item in chain if (value := getattr(item, attribute, None))), None)


def _status(error: BaseException, chain: list[Any], has_answer: bool) -> int | None:
    # litellm reports a request that is too large as one of too many, if the provider gives both the same code.
    if any(getattr(item, "status_code", None) == TOO_LARGE for item in chain):
        return TOO_LARGE
    # litellm looks for numbers in the text of an error, which has ports and addresses in memory: "403" may be in one.
    if not has_answer and any(isinstance(item, OSError) and item.filename is None for item in chain):
        return None
    status = getattr(error, "status_code", None)
    return int(status) if isinstance(status, int | str) and str(status).isdecimal() else None


def _told(error: BaseException, is_of_vendor: bool) -> str:
    text = without_wrapping(str(error))
    # The text of any other exception may be as little as a key.
    return text if text and is_of_vendor else f"{type(error).__name__}: {text}"


def _connection_failure(chain: list[Any]) -> str | None:
    reason = next((item.strerror for item in chain if isinstance(item, OSError) and item.strerror), None)
    return f"Connection error: {reason}" if reason else None
