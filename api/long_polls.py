"""Long polls: requests of the SDKs' poll helpers are answered once the run pauses or ends.

A helper waits until a run asks for tool outputs or ends, and identifies itself by a header. All other requests are
answered at once. See docs/decisions/0011.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.datastructures import Headers

from infra.ports import EventStream
from models.runs import ACTIVE_STATUSES, Run, RunStatus

HELPER = "x-stainless-poll-helper"
TIMEOUTS = ("x-stainless-read-timeout", "x-stainless-timeout")
"""The request timeouts of the SDKs for Python and Node, in seconds."""

NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)

LONGEST = timedelta(seconds=5)
"""The delay of an answer whose notification is lost."""

WAITED_FOR = ACTIVE_STATUSES - {RunStatus.REQUIRES_ACTION}


class LongPolls:
    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """Answer all long polls with the present run state, and every later request at once."""
        self._is_stopping = True
        for news in self._waiting:
            if not news.done():
                news.set_result(None)

    async def answer(self, headers: Headers, run_id: str, load: Callable[[], Awaitable[Run]]) -> Run:
        """The run from `load`: at once, or for a poll helper when the run pauses or ends.

        At the latest after `LONGEST` or half the client's timeout. Raises the errors of `load`.
        """
        if headers.get(HELPER) != "true" or self._is_stopping:
            return await load()
        with self._stream.awaiting(run_id) as news:
            self._waiting.add(news)
            try:
                run = await load()
                if run.status not in WAITED_FOR:
                    return run
                await asyncio.wait({news}, timeout=_longest(headers))
            finally:
                self._waiting.discard(news)
        return await load()


def _longest(headers: Headers) -> float:
    given = [headers[name] for name in TIMEOUTS if name in headers]
    halves = [float(text) / 2 for text in given if NUMBER.fullmatch(text)]
    return min([LONGEST.total_seconds(), *halves])
