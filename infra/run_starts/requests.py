"""The API's side: asks a worker to start the workflow of a run."""

import asyncio
import itertools
import logging
import secrets
from contextlib import suppress
from datetime import timedelta

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import ValidationError
from redis.exceptions import RedisError

from infra.event_stream.redis_news import next_message
from infra.run_starts.layout import ASK, START_ANSWER, START_REQUEST, Refusals, StartingWorkers, StartRequest
from models.turns import RunInput

ANSWER_TIMEOUT = timedelta(seconds=1)
"""Temporal has answered the worker by then; a worker that is stopped or overloaded has not."""

LISTEN_AGAIN_AFTER = timedelta(seconds=1)


log = logging.getLogger(__name__)


class StartRequests:
    """Requests to any of `workers`, and their answers."""

    def __init__(self, workers: StartingWorkers) -> None:
        self._workers = workers
        self._redis = workers.redis
        self._refusals = Refusals()
        self._channel = f"holdfast:started:{secrets.token_hex(8)}"
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._listens = asyncio.Event()

    @property
    def listens(self) -> bool:
        """Whether answers are received: without them, every process starts its runs itself."""
        return self._listens.is_set()

    async def start(self, run: RunInput) -> bool:
        """Whether a worker has started the run's workflow. If not, it may still do so: the start is idempotent."""
        if not self.listens:
            return False
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(StartRequest(self._channel, number, run, _trace()), answer)
        finally:
            del self._answers[number]

    async def listen(self) -> None:
        """Receive answers, until cancelled."""
        while True:
            try:
                await self._receive()
            except (RedisError, OSError, TimeoutError) as error:
                self._refusals.add(error)
            self._listens.clear()
            await asyncio.sleep(LISTEN_AGAIN_AFTER.total_seconds())

    async def _ask(self, request: StartRequest, answer: asyncio.Future[bool]) -> bool:
        worker = None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()):
                message = START_REQUEST.dump_json(request)
                worker = await self._redis.eval(ASK, 1, self._workers.key, message)
                return bool(worker) and await answer
        except TimeoutError:
            if worker:
                await self._leave_out(worker)
        except (RedisError, OSError) as error:
            self._refusals.add(error)
        return False

    async def _leave_out(self, worker: bytes) -> None:
        """Ask a worker that does not answer no more, until it adds itself again."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()):
                await self._redis.srem(self._workers.key, worker)

    async def _receive(self) -> None:
        async with self._redis.pubsub() as published:
            await published.subscribe(self._channel)
            while True:
                message = await next_message(published)
                match message["type"]:
                    case "subscribe":
                        self._listens.set()
                    case "message":
                        self._answered(message["data"])

    def _answered(self, message: bytes) -> None:
        try:
            answer = START_ANSWER.validate_json(message)
        except ValidationError:
            # Anyone can publish in a shared Redis.
            log.warning("run.start_answer_invalid")
            return
        waiting = self._answers.get(answer.number)
        if waiting and not waiting.done():
            waiting.set_result(answer.is_started)


def _trace() -> dict[str, str]:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier
