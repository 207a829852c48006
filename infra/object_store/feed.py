"""Hands bytes from a coroutine to a thread that reads them as a file, no more than a few pieces ahead of it."""

import asyncio
from queue import SimpleQueue

PIECES_AHEAD = 4


class FeedAborted(Exception):
    """The writer gave up before the end: what was read is not the whole."""


class Feed:
    """One coroutine writes, one thread reads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = asyncio.Semaphore(PIECES_AHEAD)
        self._is_unread = False
        self._rest = memoryview(b"")
        self._has_ended = False

    async def write(self, piece: bytes) -> bool:
        """Wait for room, and hand over `piece`. False where nothing reads any more."""
        await self._room.acquire()
        if not self._is_unread:
            self._pieces.put(piece)
        return not self._is_unread

    def end(self) -> None:
        self._pieces.put(b"")

    def abort(self) -> None:
        """Let the next read raise `FeedAborted`."""
        self._pieces.put(None)

    def stop_waiting(self, _: object) -> None:
        """The thread has ended: nothing waits for it."""
        self._is_unread = True
        self._room.release()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are any; none at the end. Called by the thread."""
        if not self._rest and not self._has_ended:
            self._rest = memoryview(self._next())
            self._has_ended = not self._rest
        found, self._rest = self._rest[:size], self._rest[size:]
        return bytes(found)

    def _next(self) -> bytes:
        piece = self._pieces.get()
        if piece is None:
            raise FeedAborted
        self._loop.call_soon_threadsafe(self._room.release)
        return piece
