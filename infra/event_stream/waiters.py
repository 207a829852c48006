"""Readers that wait for news of a run, within this process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Waiters:
    """All that wait for the same run are notified together, each once."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    @contextmanager
    def of(self, run_id: str) -> Iterator[asyncio.Future[None]]:
        """A future that is done once there is news, from the beginning of the block on."""
        news = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run_id, set()).add(news)
        try:
            yield news
        finally:
            others = self._waiting.get(run_id, set())
            others.discard(news)
            if not others:
                self._waiting.pop(run_id, None)

    def notify(self, run_id: str) -> None:
        for news in self._waiting.pop(run_id, ()):
            if not news.done():
                news.set_result(None)

    def notify_all(self) -> None:
        for run_id in list(self._waiting):
            self.notify(run_id)
