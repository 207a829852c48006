"""Errors that clients receive. Each has an HTTP status; the texts are OpenAI's, because programs match them.

ApiError
├── InvalidRequest       400; others in thread_errors.py, file_errors.py and vector_store_errors.py
│   ├── WrongStatus      the status of a run, upload or batch does not allow the operation
│   ├── IdempotencyKeyReused
│   ├── BodyTooComplex
│   ├── BodyTooLarge     413
│   └── UnknownHost      421
├── Unauthenticated      401
├── Forbidden            403, a key without the right to the route
├── NotFound             404
│   ├── ModelNotFound
│   └── UnknownUrl
├── MethodNotAllowed     405
├── Unavailable          503
└── OutcomeUnknown       503, the outcome of the commit is unknown
"""

from models.wire import WireObject


class ApiError(Exception):
    status = 500
    type = "server_error"

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidRequest(ApiError):
    status = 400
    type = "invalid_request_error"


class BodyTooLarge(InvalidRequest):
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request's body is too large: at most {limit} bytes are taken.", code="body_too_large")


class BodyTooComplex(InvalidRequest):
    @classmethod
    def for_values(cls, limit: int) -> "BodyTooComplex":
        return cls(f"The request's body has too many values: at most {limit} are taken.", code="body_too_complex")

    @classmethod
    def for_text(cls, limit: int) -> "BodyTooComplex":
        return cls(
            f"The request's body has a string that is too long: at most {limit} bytes are taken.",
            code="body_too_complex",
        )


class WrongStatus(InvalidRequest):
    @classmethod
    def for_cancel(cls, status: str) -> "WrongStatus":
        return cls(f"Cannot cancel run with status '{status}'.")

    @classmethod
    def for_retry(cls, status: str) -> "WrongStatus":
        return cls(f"Cannot retry run with status '{status}': only a failed run can be retried.")

    @classmethod
    def for_retry_of_calls(cls) -> "WrongStatus":
        return cls(
            "Cannot retry run that failed while it waited for tool outputs: its calls were closed with it. Create a "
            "new run."
        )

    @classmethod
    def of_upload(cls, action: str, status: str) -> "WrongStatus":
        return cls(f"Cannot {action} upload with status '{status}'.")

    @classmethod
    def for_retry_of_file(cls, status: str) -> "WrongStatus":
        return cls(f"Cannot retry file with status '{status}': only a failed file can be retried.")

    @classmethod
    def for_cancel_of_batch(cls, status: str) -> "WrongStatus":
        return cls(f"Cannot cancel file batch with status '{status}'.")

    @classmethod
    def for_submit(cls, status: str) -> "WrongStatus":
        return cls(f'Runs in status "{status}" do not accept tool outputs.')


class IdempotencyKeyReused(InvalidRequest):
    def __init__(self, key: str) -> None:
        super().__init__(
            f"The idempotency key '{key}' was used with a different request. Use a new key for each request.",
            "Idempotency-Key",
            "idempotency_key_reused",
        )


class Unauthenticated(ApiError):
    status = 401
    type = "invalid_request_error"

    @classmethod
    def without_key(cls) -> "Unauthenticated":
        return cls(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username).",
            code="invalid_api_key",
        )

    @classmethod
    def with_key(cls, key: str) -> "Unauthenticated":
        """Quotes only as much of the key as its owner needs to recognize it."""
        shown = f"{key[:9]}****{key[-4:]}" if len(key) > 16 else "****"
        return cls(f"Incorrect API key provided: {shown}.", code="invalid_api_key")


class UnknownHost(InvalidRequest):
    # Misdirected Request: the SDKs do not repeat it.
    status = 421

    def __init__(self, host: str) -> None:
        super().__init__(
            f"This server does not answer to the host '{host}'. If clients are to reach it by that name, add it to "
            "HOLDFAST_ALLOWED_HOSTS.",
            code="unknown_host",
        )


class Forbidden(ApiError):
    status = 403
    type = "invalid_request_error"

    @classmethod
    def to_operators(cls) -> "Forbidden":
        return cls(
            "An operator's key names no project, and this route is about one: use a project's key, one of "
            "HOLDFAST_API_KEYS.",
            code="project_key_required",
        )

    @classmethod
    def to_project(cls, project: str) -> "Forbidden":
        return cls(
            f"The API key is not one of the project '{project}', which the path names. Without API keys the only "
            "project is 'default'.",
            code="wrong_project",
        )

    @classmethod
    def to_projects(cls) -> "Forbidden":
        return cls(
            "This route is about all projects: use an operator's key, one of HOLDFAST_OPERATOR_KEYS.",
            code="operator_key_required",
        )


class NotFound(ApiError):
    status = 404
    type = "invalid_request_error"

    @classmethod
    def of(cls, noun: str, object_id: str) -> "NotFound":
        return cls(f"No {noun} found with id '{object_id}'.")


class ModelNotFound(NotFound):
    def __init__(self, model: str) -> None:
        super().__init__(f"The model '{model}' does not exist", "model", "model_not_found")


class UnknownUrl(NotFound):
    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Invalid URL ({method} {path})")


class MethodNotAllowed(ApiError):
    status = 405
    type = "invalid_request_error"

    def __init__(self, method: str, path: str) -> None:
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        super().__init__(f"Not allowed to {method} on {path}. {hint}", code="method_not_supported")


class Unavailable(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server's database does not answer at the moment, and nothing was done. You can retry your request."
        )


class OutcomeUnknown(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server lost its database while it stored your request, so that it was done or it was not. Look before "
            "you send it again, or send it with an Idempotency-Key: then it is done only once."
        )


class ErrorDetails(WireObject):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(WireObject):
    """The JSON of an error response."""

    error: ErrorDetails

    @classmethod
    def of(cls, error: ApiError) -> "ErrorEnvelope":
        details = ErrorDetails(message=error.message, type=error.type, param=error.param, code=error.code)
        return cls(error=details)
