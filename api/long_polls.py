"""Long polls: requests of the SDKs' poll helpers are answered once there is news of the run, mostly its end.

A helper waits until a run asks for tool outputs or ends, and identifies itself by a header. Other requests are answered
at once, unless they follow rapidly on the same answer: those are held for a moment. See docs/decisions/0011.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.datastructures import Headers

from api.rapid_polls import RecentAnswers
from infra.ports import EventStream
from models.runs import ACTIVE_STATUSES, Run, RunStatus

HELPER = "x-stainless-poll-helper"
TIMEOUTS = ("x-stainless-read-timeout", "x-stainless-timeout")
"""The request timeouts of the SDKs for Python and Node, in seconds."""

NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)

LONGEST = timedelta(seconds=5)
"""The delay of an answer whose notification is lost."""

QUEUED_LONGEST = timedelta(seconds=0.5)
"""The longest hold of a rapid poll whose client believes the run queued: that it has begun is no news."""

WAITED_FOR = ACTIVE_STATUSES - {RunStatus.REQUIRES_ACTION}


class LongPolls:
    def __init__(self, stream: EventStream, rapid_polls_held_for: timedelta) -> None:
        """`rapid_polls_held_for`: at most so long; zero means that they are answered at once too."""
        self._stream = stream
        self._rapid_polls_held_for = rapid_polls_held_for
        self._recent = RecentAnswers()
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_stopping = False

    def stop(self) -> None:
        """Answer all long polls with the present run state, and every later request at once."""
        self._is_stopping = True
        for news in self._waiting:
            if not news.done():
                news.set_result(None)

    async def answer(self, headers: Headers, project_id: str, run_id: str, load: Callable[[], Awaitable[Run]]) -> Run:
        """The run from `load`: at once, or when there is news for a poll helper and for a rapid poll that has seen all.

        News is every change that a client can see, but that a queued run has begun.

        At the latest after half the client's timeout. Raises the errors of `load`.
        """
        if self._is_stopping:
            return await load()
        if headers.get(HELPER) == "true":
            return await self._held(run_id, load, _longest(headers, LONGEST))
        previous = self._recent.find(project_id, run_id)
        if previous is None:
            run = await load()
        else:
            limit = self._rapid_polls_held_for
            if previous.status is RunStatus.QUEUED:
                limit = min(limit, QUEUED_LONGEST)
            run = await self._held(run_id, load, _longest(headers, limit), unchanged=previous)
        self.answered(project_id, run)
        return run

    def answered(self, project_id: str, run: Run) -> None:
        """Remember what a client was answered of a run: a poll that follows rapidly is held."""
        if self._rapid_polls_held_for and run.status in WAITED_FOR:
            self._recent.add(project_id, run)
        else:
            # Once its outputs are submitted, the run may be as it was before it asked for them.
            self._recent.forget(project_id, run.id)

    async def _held(
        self, run_id: str, load: Callable[[], Awaitable[Run]], seconds: float, unchanged: Run | None = None
    ) -> Run:
        """The run, once there is news of it or time is up; at once where it is not as in `unchanged`, if given.

        That a queued run has begun is no news, as it is none to a poll that is held meanwhile.
        """
        with self._stream.awaiting(run_id) as news:
            self._waiting.add(news)
            try:
                run = await load()
                has_changed = unchanged is not None and run != _as_begun(unchanged, run)
                if has_changed or run.status not in WAITED_FOR:
                    return run
                await asyncio.wait({news}, timeout=seconds)
            finally:
                self._waiting.discard(news)
        return await load()


def _as_begun(queued: Run, run: Run) -> Run:
    if queued.status is not RunStatus.QUEUED or run.status is not RunStatus.IN_PROGRESS:
        return queued
    return queued.model_copy(update={"status": run.status, "started_at": run.started_at})


def _longest(headers: Headers, limit: timedelta) -> float:
    given = [headers[name] for name in TIMEOUTS if name in headers]
    halves = [float(text) / 2 for text in given if NUMBER.fullmatch(text)]
    return min([limit.total_seconds(), *halves])
