"""Long loops on the event loop, cut into slices, so that other tasks go on between them."""

import asyncio
import time

SLICE_SECONDS = 0.005


class TimeSlices:
    """For a loop over what may all be there already: awaiting that does not let other tasks run."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def checkpoint(self) -> None:
        """Let other tasks run, if they have not for the length of a slice."""
        if time.perf_counter() - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
