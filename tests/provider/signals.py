"""Something that happens once in the provider's thread and is awaited from any event loop."""

import asyncio
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from datetime import timedelta

PATIENCE = timedelta(seconds=60)


class Signal:
    def __init__(self) -> None:
        self._happened: Future[None] = Future()

    def set(self) -> None:
        with suppress(InvalidStateError):
            self._happened.set_result(None)

    @property
    def is_set(self) -> bool:
        return self._happened.done()

    async def wait(self, patience: timedelta | None = PATIENCE) -> None:
        """Raises `TimeoutError` when it did not happen within `patience` (None: wait for ever)."""
        # Shielded: a waiter that gives up must not cancel the future of the others.
        seconds = patience.total_seconds() if patience else None
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._happened)), seconds)


class Signals(dict[str, Signal]):
    """A signal for each name, the same one for threads that ask for it at once."""

    def __missing__(self, name: str) -> Signal:
        return self.setdefault(name, Signal())
