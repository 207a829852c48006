"""What goes wrong with the sandbox. Code that fails is no error: that is the ending of its cell.

SandboxError
├── SandboxUnavailable   it does not answer, is full, or still installs its packages: a retry may help
├── SandboxRefused       it cannot run code safely here, for a reason that the operator has to remove
├── SessionGone          the session ended, or a newer generation has replaced it
├── CellUnknown          the session has no such cell, or its outputs were acknowledged
├── SandboxFileMissing   the session has no such file, or it is none that may be collected
└── SandboxFileRefused   a file that is put has a name or a size that the sandbox does not take
"""

from datetime import timedelta


class SandboxError(Exception):
    """`str()` of it names no host, path or secret."""


class SandboxUnavailable(SandboxError):
    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SandboxRefused(SandboxError):
    """`str()` of it is a sentence with the words of the probe and the operator's next step."""


class SessionGone(SandboxError):
    pass


class CellUnknown(SandboxError):
    pass


class SandboxFileMissing(SandboxError):
    pass


class SandboxFileRefused(SandboxError):
    pass
