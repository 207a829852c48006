import asyncio
import subprocess
import sys
import threading

import pytest

from infra.daemon_threads import MAX_THREADS, DaemonThreads

STOPPED_MEANWHILE = """
import asyncio, contextlib, time
import infra.language_model.litellm_model as litellm_model
from infra.language_model.catalogue import ModelCatalogue

litellm_model.LitellmCalls = lambda catalogue: time.sleep(600)

async def main():
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await litellm_model.LitellmLanguageModel(ModelCatalogue()).prepare()

asyncio.run(main())
"""


@pytest.mark.slow
def test_stopping_program_does_not_wait_for_litellm() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_MEANWHILE], timeout=60, check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


async def test_result_or_error_is_returned() -> None:
    threads = DaemonThreads()

    assert await threads.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)


async def test_number_of_concurrent_calls_is_limited() -> None:
    threads = DaemonThreads()
    begun, released = threading.Semaphore(0), threading.Event()
    count = 0

    def work() -> None:
        nonlocal count
        count += 1
        begun.release()
        released.wait()

    waiting = [asyncio.create_task(threads.run(work)) for _ in range(MAX_THREADS + 3)]
    for _ in range(MAX_THREADS):
        await asyncio.to_thread(begun.acquire)
    at_first = count
    released.set()
    await asyncio.gather(*waiting)

    assert (at_first, count) == (MAX_THREADS, MAX_THREADS + 3)


async def test_cancelled_caller_does_not_wait() -> None:
    threads, released = DaemonThreads(), threading.Event()
    waiting = asyncio.create_task(threads.run(released.wait))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    released.set()
