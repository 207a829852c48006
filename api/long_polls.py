"""Answers the SDKs' poll helpers once there is news, so that they need not ask again and again.

A helper waits for a run that asks for tool outputs or ends. It says that it is one, by a header, so nobody who wants
to know how a run stands just now waits for anything. See docs/decisions/0011.
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
"""Seconds after which the SDKs for Python and Node give a request up."""

NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)

LONGEST = timedelta(seconds=5)
"""Where news is lost, this is how late it comes."""

WAITED_FOR = ACTIVE_STATUSES - {RunStatus.REQUIRES_ACTION}


class LongPolls:
    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """Answer all that are held, with how their runs stand, and hold no more."""
        self._is_stopping = True
        for news in self._waiting:
            if not news.done():
                news.set_result(None)

    async def answer(self, headers: Headers, run_id: str, load: Callable[[], Awaitable[Run]]) -> Run:
        """What `load` loads: at once, or where a helper waits for the run, when there is news of it.

        At the latest after `LONGEST`, or half the time that the client has. Raises what `load` does.
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
