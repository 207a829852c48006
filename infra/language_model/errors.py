"""The failures of model calls, classified by what happens next: a retry, or the end of the run.

ModelCallFailed
├── RateLimited          429: retried; ends a run as `rate_limit_exceeded`
├── QuotaExceeded        429 that waiting does not cure: not retried; `rate_limit_exceeded`
├── ProviderUnavailable  408, 409, 5xx, no connection, time-out: retried; `server_error`
├── ModelStreamBroken    the answer broke off in the middle: retried; `server_error`
├── AnswerAborted        the provider ended the answer without completing it: retried a few times; `server_error`
├── TooManyCalls         the answer has more calls than a run takes: retried once; `server_error`
├── AnswerTooLarge       a whole answer has more bytes than are read: not retried, because it is paid; `server_error`
├── PromptRejected       400, 422, content policy: not retried; `invalid_prompt`
│   └── PromptTooLarge   413, 429 that no wait cures, context too long: a shorter prompt may be accepted
└── ProviderRefused      401, 403, 404 and every other 4xx: not retried; `server_error`
"""

from datetime import timedelta
from typing import ClassVar

from infra.language_model.request_sizes import RequestSize
from models.answers import storable
from models.runs import LastErrorCode


class ModelCallFailed(Exception):
    """A call of a language model failed. `str()` of it is fit for a run's `last_error`: the failure, no secrets."""

    is_retryable: ClassVar[bool]
    max_attempts: ClassVar[int | None] = None
    """The number of such failures in one turn that ends the run. None: retries last until the deadline."""
    code: ClassVar[LastErrorCode]

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        """`retry_after` is the delay that the provider asked for, if it did."""
        super().__init__(storable(message))
        self.retry_after = retry_after


class RateLimited(ModelCallFailed):
    is_retryable = True
    code = LastErrorCode.RATE_LIMIT_EXCEEDED


class QuotaExceeded(ModelCallFailed):
    is_retryable = False
    code = LastErrorCode.RATE_LIMIT_EXCEEDED


class ProviderUnavailable(ModelCallFailed):
    is_retryable = True
    code = LastErrorCode.SERVER_ERROR


class ModelStreamBroken(ModelCallFailed):
    is_retryable = True
    code = LastErrorCode.SERVER_ERROR


class AnswerAborted(ModelCallFailed):
    is_retryable = True
    max_attempts = 4
    code = LastErrorCode.SERVER_ERROR


class TooManyCalls(ModelCallFailed):
    """A model that repeats itself may not do so again; the answer has been paid, so it is asked once more only."""

    is_retryable = True
    max_attempts = 2
    code = LastErrorCode.SERVER_ERROR


class AnswerTooLarge(ModelCallFailed):
    is_retryable = False
    code = LastErrorCode.SERVER_ERROR


class PromptRejected(ModelCallFailed):
    is_retryable = False
    code = LastErrorCode.INVALID_PROMPT


class PromptTooLarge(PromptRejected):
    """`size` is None if the provider did not say how much is too much."""

    def __init__(self, message: str, size: RequestSize | None = None) -> None:
        super().__init__(message)
        self.size = size


class ProviderRefused(ModelCallFailed):
    is_retryable = False
    code = LastErrorCode.SERVER_ERROR
