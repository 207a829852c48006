"""The worker's side: starts the workflows of runs for APIs, so that Temporal gives it their first steps at once."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import ValidationError
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from temporalio.service import RPCError

from infra.background import beside
from infra.event_stream.redis_news import next_message
from infra.run_starts.layout import START_ANSWER, START_REQUEST, Refusals, StartAnswer, StartingWorkers, StartRequest
from models.turns import RunInput

ADD_INTERVAL = timedelta(seconds=5)
"""How soon a worker is asked again after it has not answered, or Redis has lost its data."""

KEPT_FOR = 12 * ADD_INTERVAL
LISTEN_AGAIN_AFTER = timedelta(seconds=1)
END_TIMEOUT = timedelta(seconds=0.5)

log = logging.getLogger(__name__)

Start = Callable[[RunInput], Awaitable[object]]


@asynccontextmanager
async def starting_for_apis(workers: StartingWorkers, start: Start) -> AsyncIterator[None]:
    """Start workflows with `start` as APIs ask for it while the block runs. On exit, starts under way may end."""
    answers = _StartAnswers(workers, start)
    async with beside(answers.serve()):
        try:
            yield
        finally:
            await answers.end()


class _StartAnswers:
    def __init__(self, workers: StartingWorkers, start: Start) -> None:
        self._workers = workers
        self._redis = workers.redis
        self._start = start
        self._refusals = Refusals()
        self._channel = f"holdfast:start:{secrets.token_hex(8)}"
        self._under_way: set[asyncio.Task[None]] = set()
        self._subscription: PubSub | None = None
        self._is_unsubscribed = asyncio.Event()

    async def serve(self) -> None:
        """Take requests, until they end. Without Redis there are none: then APIs start the workflows themselves."""
        while not self._is_unsubscribed.is_set():
            try:
                await self._take_requests()
            except (RedisError, OSError, TimeoutError) as error:
                self._refusals.add(error)
            await asyncio.sleep(LISTEN_AGAIN_AFTER.total_seconds())

    async def end(self) -> None:
        """Take what was published before, and nothing more."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(END_TIMEOUT.total_seconds()):
                if self._subscription:
                    # Redis confirms it after the last request; from then on, it passes this worker over.
                    await self._subscription.unsubscribe(self._channel)
                    await self._is_unsubscribed.wait()
                await self._redis.srem(self._workers.key, self._channel)
        if self._under_way:
            _, unanswered = await asyncio.wait(self._under_way, timeout=END_TIMEOUT.total_seconds())
            for start in unanswered:
                # Its API starts the workflow itself.
                start.cancel()

    async def _take_requests(self) -> None:
        async with self._redis.pubsub() as published:
            await published.subscribe(self._channel)
            self._subscription = published
            try:
                async with beside(self._add_regularly()):
                    await self._receive(published)
            finally:
                self._subscription = None
        self._is_unsubscribed.set()

    async def _receive(self, published: PubSub) -> None:
        while True:
            message = await next_message(published)
            match message["type"]:
                case "message":
                    self._take(message["data"])
                case "unsubscribe":
                    return

    async def _add_regularly(self) -> None:
        while True:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.sadd(self._workers.key, self._channel)
                pipeline.expire(self._workers.key, KEPT_FOR)
                await pipeline.execute()
            await asyncio.sleep(ADD_INTERVAL.total_seconds())

    def _take(self, message: bytes) -> None:
        try:
            request = START_REQUEST.validate_json(message)
        except ValidationError:
            # Anyone can publish in a shared Redis.
            log.warning("run.start_request_invalid")
            return
        task = asyncio.create_task(self._answer(request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer(self, request: StartRequest) -> None:
        context.attach(TraceContextTextMapPropagator().extract(request.trace))
        answer = StartAnswer(request.number, await self._is_started(request.run))
        # An API that gets no answer starts the workflow itself.
        try:
            await self._redis.publish(request.channel, START_ANSWER.dump_json(answer))
        except (RedisError, OSError) as error:
            self._refusals.add(error)

    async def _is_started(self, run: RunInput) -> bool:
        try:
            await self._start(run)
        except RPCError as error:
            log.warning("run.start_failed", extra={"run_id": run.run_id, "reason": repr(error)})
            return False
        return True
