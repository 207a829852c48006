"""Objects as files of a folder, whose paths are their keys.

An object is written beside the others and renamed once all of it is on the disk, so that it is there as a whole or not
at all. Any number of processes of one machine may use the folder.
"""

import asyncio
import contextlib
import errno
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

from infra.object_store.errors import ObjectMissing, ObjectStoreUnavailable
from infra.object_store.pieces import PIECE_BYTES, in_pieces
from models.stored_objects import StoredObject

KEY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
# Begins with what no key begins with.
INCOMING = ".incoming"
ABANDONED_AFTER = timedelta(hours=6)
"""A file that nothing was written to for so long belongs to a process that was killed."""

P = ParamSpec("P")
Result = TypeVar("Result")


class DirectoryObjectStore:
    def __init__(self, root: Path) -> None:
        """`root` is made where it is missing."""
        self._root = root
        self._incoming = root / INCOMING

    async def open(self) -> None:
        """Make the folder, and remove what killed processes left in it. Raises `ObjectStoreUnavailable`."""
        await _in_thread(self._prepare)

    async def put(self, key: str, content: AsyncIterable[bytes]) -> int:
        path = self._path(key)
        temporary = self._incoming / uuid4().hex
        size = 0
        try:
            with await _in_thread(_create, temporary) as file:
                async for piece in in_pieces(content):
                    await _in_thread(_write, file, piece)
                    size += len(piece)
                await _in_thread(_finish, file, temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return size

    async def get(self, key: str, first: int = 0, last: int | None = None) -> AsyncGenerator[bytes, None]:
        file = await _in_thread(_open, self._path(key), key, first)
        try:
            left = None if last is None else last - first + 1
            while left is None or left > 0:
                piece = await _in_thread(file.read, PIECE_BYTES if left is None else min(left, PIECE_BYTES))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        await _in_thread(_delete, self._path(key))

    async def list_page(self, after: str, limit: int) -> Sequence[StoredObject]:
        return await _in_thread(lambda: list(islice(self._list(after), limit)))

    async def check(self) -> None:
        await _in_thread(self._check)

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return self._root / key

    def _prepare(self) -> None:
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in self._incoming.iterdir():
            # Another process may remove it first.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > ABANDONED_AFTER.total_seconds():
                    file.unlink()

    def _check(self) -> None:
        probe = self._incoming / uuid4().hex
        _create(probe).close()
        probe.unlink()

    def _list(self, after: str, folder: str = "") -> Iterator[StoredObject]:
        """Those whose keys follow `after`, in the order of keys: a folder's slash is part of its name."""
        with os.scandir(self._root / folder) as found:
            entries = [(f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in found]
        for name, entry in sorted(entries, key=lambda each: each[0]):
            key = folder + name
            if name.startswith(INCOMING):
                continue
            if name.endswith("/"):
                if after < key or after.startswith(key):
                    yield from self._list(after, key)
            elif key > after:
                # Deleted meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat()
                    yield StoredObject(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


async def _in_thread(work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    with _translated():
        task = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # To its end: a file that is closed meanwhile may have lent its descriptor's number to another by the time
            # that the thread writes.
            await asyncio.wait([task])
            task.exception()
            raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObjectStoreUnavailable(errno.errorcode.get(error.errno or 0, str(error))) from error


def _create(path: Path) -> FileIO:
    return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write(file: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _finish(file: FileIO, temporary: Path, path: Path) -> None:
    os.fsync(file.fileno())
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary.rename(path)
    # The name of each new folder is in the folder above it.
    for folder in {path.parent, *(each.parent for each in made)}:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, key: str, first: int) -> FileIO:
    try:
        file = FileIO(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectMissing(key) from error
    file.seek(first)
    return file


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    # Its folder stays: another process may be renaming a file into it.
    if path.parent.exists():
        _sync_folder(path.parent)
