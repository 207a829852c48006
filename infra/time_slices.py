"""Time slices for long loops on the event loop, so that other tasks run between them."""

import asyncio
import time

SLICE_SECONDS = 0.005


class TimeSlices:
    """For a loop over items that may all be available: awaiting such an item does not let other tasks run."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def checkpoint(self) -> None:
        """Let other tasks run, if this one has run for a whole slice."""
        if time.perf_counter() - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
