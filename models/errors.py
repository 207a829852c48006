"""Errors that clients receive. Each has an HTTP status; the texts are OpenAI's, because programs match them.

ApiError
├── InvalidRequest       400
│   ├── ThreadLocked     a run is active on the thread
│   ├── ThreadQueueFull  too many messages or runs wait for the active run
│   ├── ThreadFull       the thread holds as many messages as it can
│   ├── WrongStatus      the run's status does not allow the operation
│   ├── ToolOutputsMismatch
│   ├── UnusableToolChoice
│   ├── VectorStoreExpired
│   ├── VectorStoreOfRunExpired
│   ├── VectorStoreFull
│   ├── UnsupportedExtensions
│   ├── IdempotencyKeyReused
│   ├── UnsupportedPurpose
│   ├── UnknownUploadPart
│   ├── UploadMismatch   the parts of an upload do not make its file
│   ├── UploadTooLarge
│   ├── UploadTooSlow
│   ├── DownloadNotAllowed
│   ├── BodyTooComplex
│   ├── BodyTooLarge     413
│   │   └── FileTooLarge
│   └── UnknownHost      421
├── Unauthenticated      401
├── Forbidden            403, a key without the right to the route
├── NotFound             404
│   ├── ModelNotFound
│   ├── FileNotFound
│   ├── StoreFileNotFound
│   └── UnknownUrl
├── MethodNotAllowed     405
├── Unavailable          503
├── SearchUnavailable    503
├── OutcomeUnknown       503, the outcome of the commit is unknown
├── StoreUnavailable     503
├── RangeNotSatisfiable  416
└── ContentLost          500, a file's row without its bytes
"""

from collections.abc import Iterable, Sequence

from models.ids import MAX_LENGTH
from models.wire import WireObject

MAX_PRINTED_IDS = 20


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

    @classmethod
    def unsupported_tool(cls, param: str, kind: str) -> "InvalidRequest":
        return cls(f"The tool '{kind}' is not supported by this server yet.", param, "unsupported_parameter")


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


class FileTooLarge(BodyTooLarge):
    def __init__(self, param: str, limit: int) -> None:
        InvalidRequest.__init__(
            self, f"Invalid '{param}': it is too large. At most {limit} bytes are taken.", param, "file_too_large"
        )


class UnsupportedPurpose(InvalidRequest):
    def __init__(self, given: str, supported: Sequence[str]) -> None:
        super().__init__(f"'{given}' is not one of {[str(each) for each in supported]} - 'purpose'", "purpose")


class DownloadNotAllowed(InvalidRequest):
    def __init__(self, purpose: str) -> None:
        super().__init__(f"Not allowed to download files of purpose: {purpose}")


class UnknownUploadPart(InvalidRequest):
    def __init__(self, index: int, part_id: str) -> None:
        param = f"part_ids[{index}]"
        super().__init__(f"Invalid '{param}': the upload has no part with id '{part_id}'.", param, "invalid_value")


class UploadMismatch(InvalidRequest):
    @classmethod
    def of_sizes(cls, got: int, expected: int) -> "UploadMismatch":
        return cls(
            f"Invalid 'part_ids': the parts have {got} bytes together, but the upload was created for {expected}.",
            "part_ids",
            "invalid_value",
        )

    @classmethod
    def of_digests(cls, got: str, expected: str) -> "UploadMismatch":
        return cls(
            f"Invalid 'md5': the parts together have the checksum {got}, but {expected} was expected.",
            "md5",
            "invalid_value",
        )


class UploadTooLarge(InvalidRequest):
    def __init__(self, limit: int) -> None:
        super().__init__(f"The parts of an upload have at most {limit} bytes together.", "data", "upload_too_large")


class UploadTooSlow(InvalidRequest):
    def __init__(self, minutes: int) -> None:
        super().__init__(f"The upload took more than {minutes} minutes. Send the file in parts, with /v1/uploads.")


class ThreadLocked(InvalidRequest):
    @classmethod
    def for_message(cls, thread_id: str, run_id: str) -> "ThreadLocked":
        return cls(f"Can't add messages to {thread_id} while a run {run_id} is active.")

    @classmethod
    def for_run(cls, thread_id: str, run_id: str) -> "ThreadLocked":
        return cls(f"Thread {thread_id} already has an active run {run_id}.")

    @classmethod
    def for_reset(cls, run_id: str) -> "ThreadLocked":
        return cls(
            f"Run {run_id} can't be resumed while another run is active on its thread: wait for it or cancel it."
        )

    @classmethod
    def for_retry(cls) -> "ThreadLocked":
        return cls("Cannot retry run while another run is active on its thread: wait for that or cancel it.")


class ThreadQueueFull(InvalidRequest):
    def __init__(self, thread_id: str, limit: int, what: str) -> None:
        super().__init__(f"At most {limit} {what} may wait for the active run of thread {thread_id}.")


class ThreadFull(InvalidRequest):
    def __init__(self, limit: int) -> None:
        super().__init__(f"A thread holds at most {limit} messages. Delete some, or go on in a new thread.")


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
    def for_cancel_of_batch(cls, status: str) -> "WrongStatus":
        return cls(f"Cannot cancel file batch with status '{status}'.")

    @classmethod
    def for_submit(cls, status: str) -> "WrongStatus":
        return cls(f'Runs in status "{status}" do not accept tool outputs.')


class ToolOutputsMismatch(InvalidRequest):
    """Outputs are missing, unknown or given twice; the text lists both sets, up to a limit."""

    def __init__(self, expected: Sequence[str], got: Sequence[str]) -> None:
        super().__init__(f"Expected tool outputs for call_ids {_printed(expected)}, got {_printed(got)}")


def _printed(ids: Sequence[str]) -> str:
    first = [each if len(each) <= MAX_LENGTH else f"{each[:MAX_LENGTH]}…" for each in ids[:MAX_PRINTED_IDS]]
    others = len(ids) - len(first)
    return f"{first} and {others} more" if others else str(first)


class UnusableToolChoice(InvalidRequest):
    """A forced tool choice that the run's tools do not allow. The texts are those of chat completions."""

    @classmethod
    def without_tools(cls) -> "UnusableToolChoice":
        return cls.because("'tool_choice' is only allowed when 'tools' are specified.")

    @classmethod
    def of_unknown_function(cls, name: str) -> "UnusableToolChoice":
        return cls.because(f"no function named {name} was specified in the 'tools' parameter.")

    @classmethod
    def of_missing_tool(cls, kind: str) -> "UnusableToolChoice":
        return cls.because(f"no tool of type {kind} was specified in the 'tools' parameter.")

    @classmethod
    def because(cls, reason: str) -> "UnusableToolChoice":
        return cls(f"Invalid value for 'tool_choice': {reason}", "tool_choice")


class VectorStoreExpired(InvalidRequest):
    def __init__(self, store_id: str) -> None:
        super().__init__(f"Vector store '{store_id}' has expired")


class VectorStoreOfRunExpired(InvalidRequest):
    """In OpenAI's words, which differ from those of operations on the store itself."""

    def __init__(self, store_id: str) -> None:
        super().__init__(f"Vector store {store_id} is expired")


class VectorStoreFull(InvalidRequest):
    def __init__(self, limit: int) -> None:
        super().__init__(f"A vector store holds at most {limit} files. Delete some, or add them to a new vector store.")


class UnsupportedExtensions(InvalidRequest):
    def __init__(self, extensions: Iterable[str]) -> None:
        super().__init__(
            f"Files with extensions [{', '.join(extensions)}] are not supported for retrieval.",
            "file_ids",
            "unsupported_file",
        )


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


class FileNotFound(NotFound):
    def __init__(self, file_id: str) -> None:
        super().__init__(f"No such File object: {file_id}", "id")


class StoreFileNotFound(NotFound):
    def __init__(self, file_id: str, store_id: str) -> None:
        super().__init__(f"No file found with id '{file_id}' in vector store '{store_id}'.")


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


class SearchUnavailable(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server's search index or embedding model does not answer at the moment. You can retry your request."
        )


class OutcomeUnknown(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server lost its database while it stored your request, so that it was done or it was not. Look before "
            "you send it again, or send it with an Idempotency-Key: then it is done only once."
        )


class StoreUnavailable(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server's object store does not answer at the moment, and nothing was done. You can retry your request."
        )


class ContentLost(ApiError):
    def __init__(self, file_id: str) -> None:
        super().__init__(f"The content of file {file_id} is missing in the server's object store.")


class RangeNotSatisfiable(ApiError):
    status = 416
    type = "invalid_request_error"

    def __init__(self, size: int) -> None:
        super().__init__(f"The requested range is not within the {size} bytes of the file.", "Range", "invalid_range")
        self.size = size


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
