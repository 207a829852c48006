"""The data folder: made, checked and held by one `holdfast up` at a time, whose address others find in it."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from infra.errors import StartFailed

LOCK_NAME = "lock"
ADDRESS_NAME = "address"
STOPPING = "stopping"
# A predecessor that lost its parent a moment ago may not have noticed yet.
PATIENCE = timedelta(seconds=4)
PATIENCE_WITH_STOPPING = timedelta(seconds=45)
RETRY_INTERVAL = timedelta(milliseconds=50)


class DataFolderUnusable(StartFailed):
    """The folder cannot be made, written or locked."""


class DataFolderInUse(StartFailed):
    """Another `holdfast up` holds the folder."""


class HeldFolder:
    """The lock of a data folder. The kernel releases it when the process ends, however it ends."""

    def __init__(self, lock: TextIO, path: Path) -> None:
        self._lock = lock
        self._path = path
        self._note(str(os.getpid()))

    def note_address(self, url: str) -> None:
        """Tell other programs where the API is. Raises `DataFolderUnusable`."""
        with _unusable_on_os_error(self._path):
            partial = (self._path / ADDRESS_NAME).with_suffix(".partial")
            partial.write_text(url)
            partial.replace(self._path / ADDRESS_NAME)

    def forget_address(self) -> None:
        (self._path / ADDRESS_NAME).unlink(missing_ok=True)

    def note_stopping(self) -> None:
        """Tell a successor that it is worth waiting."""
        self._note(f"{os.getpid()} {STOPPING}")

    def _note(self, text: str) -> None:
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(text)
        self._lock.flush()


@contextmanager
def hold_data_folder(path: Path) -> Iterator[HeldFolder]:
    """Make the folder and hold it until the block ends.

    Raises `DataFolderUnusable`, or `DataFolderInUse` where another process does not let go of it in time.
    """
    make_data_folder(path)
    with _lock(path) as lock:
        folder = HeldFolder(lock, path)
        # That of a predecessor that was killed.
        folder.forget_address()
        try:
            yield folder
        finally:
            # Before the lock is released: afterwards it may be a successor's.
            folder.forget_address()


def serving_address(path: Path) -> str | None:
    """The URL of the API of the `holdfast up` that holds the folder; None where there is none, or none to be read."""
    try:
        with (path / LOCK_NAME).open() as lock:
            return None if _try_lock(lock, fcntl.LOCK_SH) else (path / ADDRESS_NAME).read_text() or None
    except (OSError, UnicodeDecodeError):
        return None


def make_data_folder(path: Path) -> None:
    """Make the folder where there is none. Raises `DataFolderUnusable` where it cannot be made or written."""
    with _unusable_on_os_error(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()


@contextmanager
def _unusable_on_os_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFolderUnusable(
            f"The data folder {path.absolute()} cannot be used: {error.strerror}. "
            "Make it a writable folder or set HOLDFAST_DATA_DIR to another."
        ) from error


def _lock(path: Path) -> TextIO:
    with _unusable_on_os_error(path):
        lock = (path / LOCK_NAME).open("a+")
        _wait_for(lock, path)
        return lock


def _wait_for(lock: TextIO, path: Path) -> None:
    began = time.monotonic()
    while not _try_lock(lock):
        holder, _, state = _read(lock).partition(" ")
        patience = PATIENCE_WITH_STOPPING if state == STOPPING else PATIENCE
        if time.monotonic() - began > patience.total_seconds():
            raise DataFolderInUse(
                f"The data folder {path.absolute()} is held by another `holdfast up`, process {holder or 'unknown'}. "
                "Stop that or set HOLDFAST_DATA_DIR to another folder."
            )
        time.sleep(RETRY_INTERVAL.total_seconds())


def _try_lock(lock: TextIO, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read()
