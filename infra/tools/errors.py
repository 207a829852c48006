"""How a server tool ends without a result.

ToolNotReady     what it uses is being prepared: Temporal starts the call again later
ToolUnavailable  an outage: Temporal retries the call until the run's deadline
ToolFailed       for good: the model reads the message, and the run continues
"""

from datetime import timedelta


class ToolUnavailable(Exception):
    """`str()` of it names what does not answer, without hosts or secrets."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        """`retry_after` is how long the provider asked to wait, if it did."""
        super().__init__(message)
        self.retry_after = retry_after


class ToolNotReady(Exception):
    """`str()` of it says what the call waits for. The wait takes no slot of a worker."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ToolFailed(Exception):
    """`str()` of it is fit for the model."""
