"""Threads for long computations beside the event loop; the program does not wait for them when it stops."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

MAX_THREADS = 4


class DaemonThreads:
    """Unlike those of `asyncio.to_thread`, these threads end with the program, whatever they are doing."""

    def __init__(self) -> None:
        self._slots = threading.Semaphore(MAX_THREADS)

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """What `function` returns or raises. A cancelled caller does not wait; the function continues."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def work() -> None:
            with self._slots:
                try:
                    result = function(*args, **kwargs)
                # Raised in the caller.
                except BaseException as error:  # noqa: BLE001
                    _settle(loop, future, future.set_exception, error)
                else:
                    _settle(loop, future, future.set_result, result)

        threading.Thread(target=work, name=getattr(function, "__name__", None), daemon=True).start()
        return await future


def _settle(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Result]", settle: Callable[..., None], value: object
) -> None:
    def unless_cancelled() -> None:
        if not future.cancelled():
            settle(value)

    # The loop is closed if the program stops meanwhile.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(unless_cancelled)
