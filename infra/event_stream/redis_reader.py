"""Reads the events of all followed runs over one connection, several runs in each round trip."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.event_stream.redis_layout import batch_of, entry_id, stream_of
from infra.event_stream.redis_outage import COMMAND_TIMEOUT, RedisOutage
from infra.ports import NO_EVENTS, EventBatch

MAX_EVENTS_PER_ROUND = 16_384


@dataclass(frozen=True, slots=True)
class _Request:
    run_id: str
    after: int
    limit: int
    found: asyncio.Future[EventBatch | None]


class RedisReader:
    """Requests are answered in the order in which they came, each with a bounded number of events."""

    def __init__(self, client: Redis, outage: RedisOutage) -> None:
        self._client = client
        self._outage = outage
        self._requests: deque[_Request] = deque()
        self._changed = asyncio.Event()

    async def read(self, run_id: str, after: int, limit: int) -> EventBatch | None:
        """Up to `limit` events after number `after`. None where Redis does not answer."""
        found: asyncio.Future[EventBatch | None] = asyncio.get_running_loop().create_future()
        self._requests.append(_Request(run_id, after, limit, found))
        self._changed.set()
        return await found

    async def run(self) -> None:
        """Answer requests, until cancelled."""
        while True:
            await self._changed.wait()
            requests = self._next_requests()
            if not requests:
                self._changed.clear()
                continue
            for request, batch in zip(requests, await self._found(requests), strict=True):
                # Cancelled where the reader has gone away.
                if not request.found.done():
                    request.found.set_result(batch)

    def _next_requests(self) -> list[_Request]:
        requests: list[_Request] = []
        size = 0
        while self._requests and size < MAX_EVENTS_PER_ROUND:
            request = self._requests.popleft()
            if not request.found.done():
                requests.append(request)
                size += request.limit
        return requests

    async def _found(self, requests: list[_Request]) -> list[EventBatch | None]:
        pipeline = self._client.pipeline(transaction=False)
        for request in requests:
            pipeline.xrange(stream_of(request.run_id), min=entry_id(request.after + 1), count=request.limit)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                return [self._batch(result) for result in await pipeline.execute(raise_on_error=False)]
        except (RedisError, OSError, TimeoutError) as error:
            self._outage.go_on(error)
            return [None] * len(requests)

    def _batch(self, result: Any) -> EventBatch | None:
        if isinstance(result, Exception):
            self._outage.go_on(result)
            return None
        return batch_of(result) if result else NO_EVENTS
