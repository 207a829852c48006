"""How embedding fails.

EmbeddingFailed
├── EmbeddingUnavailable  408, 409, 429, 5xx, no connection, time-out: a retry may help
└── EmbeddingRefused      every other 4xx, an answer that is none, a quota that is used up: a retry does not help
"""

from datetime import timedelta
from typing import ClassVar


class EmbeddingFailed(Exception):
    """`str()` of it is fit for a file's `last_error`: what happened, no secrets."""

    is_retryable: ClassVar[bool]

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        """`retry_after` is how long the endpoint asked to wait, where it did."""
        super().__init__(message)
        self.retry_after = retry_after


class EmbeddingUnavailable(EmbeddingFailed):
    is_retryable = True


class EmbeddingRefused(EmbeddingFailed):
    is_retryable = False
