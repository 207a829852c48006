"""Starts of runs, handed from an API to a worker over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from redis import Redis
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from infra.background import beside
from infra.event_stream.redis_streams import redis_client
from infra.resources import open_starting_workers
from infra.run_starts import answers, requests
from infra.run_starts.answers import starting_for_apis
from infra.run_starts.layout import START_REQUEST, StartingWorkers, StartRequest, workers_of
from infra.run_starts.requests import StartRequests
from models.turns import RunInput
from tests.conftest import settings_for
from tests.program import until
from tests.provider.scripted_provider import ScriptedProvider
from tests.valkey import ValkeyServer, running_valkey

RUN = RunInput("run_a", "thread_a", "asst_a", "model-a", 1_900_000_000, 600)
DEAD_WORKER = "holdfast:start:dead"
REFUSED = "run.starts_not_handed_over"


class Starts:
    """What a worker was asked to start. With `failure`, Temporal refuses; with `hangs`, it does not answer."""

    def __init__(self, failure: RPCStatusCode | None = None, hangs: bool = False) -> None:
        self.runs: list[RunInput] = []
        self.traces: list[int] = []
        self._failure = failure
        self._hangs = hangs
        self.is_given_up = asyncio.Event()

    async def start(self, run: RunInput) -> None:
        self.runs.append(run)
        self.traces.append(trace.get_current_span().get_span_context().trace_id)
        if self._failure:
            raise RPCError("refused", self._failure, b"")
        if self._hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.is_given_up.set()


@pytest.fixture
async def workers(valkey: ValkeyServer) -> AsyncIterator[StartingWorkers]:
    async with redis_client(valkey.url) as client:
        yield StartingWorkers(client, workers_of(uuid4().hex, "queue"))


@asynccontextmanager
async def _requests(workers: StartingWorkers) -> AsyncIterator[StartRequests]:
    asked = StartRequests(workers)
    async with beside(asked.listen()):
        async with asyncio.timeout(10):
            while not asked.listens:
                await asyncio.sleep(0.01)
        yield asked


@asynccontextmanager
async def _worker(workers: StartingWorkers, starts: Starts) -> AsyncIterator[None]:
    before = await _known(workers)
    async with starting_for_apis(workers, starts.start):
        await until(lambda: _is_more_than(before, workers), "the worker does not add itself")
        yield


async def _is_more_than(before: int, workers: StartingWorkers) -> bool:
    return await _known(workers) > before


async def _known(workers: StartingWorkers) -> int:
    return await workers.redis.scard(workers.key)


async def test_worker_starts_the_run_that_the_api_asks_for(workers: StartingWorkers) -> None:
    starts = Starts()
    async with _worker(workers, starts), _requests(workers) as asked:
        assert await asked.start(RUN)

    assert starts.runs == [RUN]


async def test_many_starts_at_once_have_their_own_answers(workers: StartingWorkers) -> None:
    refusing, starting = Starts(RPCStatusCode.UNAVAILABLE), Starts()
    async with _worker(workers, refusing), _worker(workers, starting), _requests(workers) as asked:
        started = await asyncio.gather(*(asked.start(RUN) for _ in range(30)))

    assert (started.count(False), started.count(True)) == (len(refusing.runs), len(starting.runs))
    assert len(started) == 30
    assert set(started) == {True, False}, "all were handed to one worker"


async def test_without_a_worker_the_api_starts_the_run_itself(workers: StartingWorkers) -> None:
    async with _requests(workers) as asked:
        assert not await asked.start(RUN)


async def test_stopped_worker_is_asked_no_more(workers: StartingWorkers) -> None:
    starts = Starts()
    async with _requests(workers) as asked:
        async with _worker(workers, starts):
            pass
        assert await _known(workers) == 0
        assert not await asked.start(RUN)

    assert starts.runs == []


async def test_worker_that_stops_starts_what_it_was_asked_before(
    workers: StartingWorkers, valkey: ValkeyServer
) -> None:
    starts, asked = Starts(), [replace(RUN, run_id=f"run_{number}") for number in range(20)]
    async with _worker(workers, starts):
        [worker] = await workers.redis.smembers(workers.key)
        with Redis.from_url(valkey.url) as api:
            # The worker cannot read meanwhile, as this does not await.
            for number, run in enumerate(asked):
                api.publish(worker, START_REQUEST.dump_json(StartRequest("nobody:listens", number, run, {})))

    assert starts.runs == asked


async def test_killed_worker_is_passed_over(workers: StartingWorkers) -> None:
    starts = Starts()
    async with _worker(workers, starts), _requests(workers) as asked:
        # It has not said that it ends.
        await workers.redis.sadd(workers.key, DEAD_WORKER)
        while await workers.redis.sismember(workers.key, DEAD_WORKER):
            assert await asked.start(RUN)

    assert set(starts.runs) == {RUN}


async def test_worker_that_does_not_answer_is_left_out_until_it_adds_itself_again(
    workers: StartingWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ANSWER_TIMEOUT", timedelta(milliseconds=300))
    starts = Starts(hangs=True)
    async with _worker(workers, starts), _requests(workers) as asked:
        assert not await asked.start(RUN)
        assert await _known(workers) == 0
        assert not await asked.start(RUN)

    assert starts.runs == [RUN]
    async with asyncio.timeout(5):
        await starts.is_given_up.wait()


async def test_worker_adds_itself_again(workers: StartingWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ADD_INTERVAL", timedelta(milliseconds=20))
    async with _worker(workers, Starts()), _requests(workers) as asked:
        await workers.redis.delete(workers.key)
        await until(lambda: asked.start(RUN), "starts are not handed over again")


async def test_starts_are_handed_over_again_after_an_outage_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (answers, requests):
        monkeypatch.setattr(module, "LISTEN_AGAIN_AFTER", timedelta(milliseconds=20))
    with running_valkey() as own:
        async with redis_client(own.url) as client:
            workers = StartingWorkers(client, workers_of(uuid4().hex, "queue"))
            async with _worker(workers, Starts()), _requests(workers) as asked:
                own.kill()
                assert not await asked.start(RUN)

                own.start()
                await until(lambda: asked.start(RUN), "starts are not handed over again")


async def test_frozen_redis_delays_a_start_by_a_time_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "ANSWER_TIMEOUT", timedelta(milliseconds=300))
    with running_valkey() as own:
        async with redis_client(own.url) as client, _requests(StartingWorkers(client, "workers")) as asked:
            own.freeze()
            try:
                assert not await asked.start(RUN)
            finally:
                own.thaw()


@pytest.mark.parametrize(("missing", "side"), [("sadd", answers), ("publish", requests)])
async def test_missing_right_in_redis_is_logged_once(
    missing: str, side: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (answers, requests):
        monkeypatch.setattr(module, "LISTEN_AGAIN_AFTER", timedelta(milliseconds=20))
    with running_valkey() as own:
        async with redis_client(own.url) as full, redis_client(own.url.replace("//", "//few:pw@")) as few:
            await full.acl_setuser(
                "few",
                enabled=True,
                passwords=["+pw"],
                keys=["holdfast:*"],
                channels=["holdfast:*"],
                categories=["+@all"],
                commands=[f"-{missing}"],
            )
            key = workers_of("namespace", "queue")
            await full.sadd(key, DEAD_WORKER)
            limited, unlimited = StartingWorkers(few, key), StartingWorkers(full, key)
            of_worker, of_api = (limited, unlimited) if side is answers else (unlimited, limited)
            async with starting_for_apis(of_worker, Starts().start), _requests(of_api) as asked:
                assert [await asked.start(RUN) for _ in range(3)] == [False] * 3
                await until(lambda: _is_logged(caplog), "nothing is logged")

    assert [record.message for record in caplog.records].count(REFUSED) == 1


async def _is_logged(caplog: pytest.LogCaptureFixture) -> bool:
    return any(record.message == REFUSED for record in caplog.records)


async def test_messages_of_others_are_left_out(workers: StartingWorkers) -> None:
    starts = Starts()
    async with _worker(workers, starts), _requests(workers) as asked:
        channels = await workers.redis.pubsub_channels("holdfast:start*")
        for channel in channels:
            await workers.redis.publish(channel, "no JSON")
        stranger = StartRequest("nobody:listens", 0, RUN, {})
        [worker] = await workers.redis.smembers(workers.key)
        await workers.redis.publish(worker, START_REQUEST.dump_json(stranger))
        assert await asked.start(RUN)

    assert starts.runs == [RUN, RUN]


@pytest.mark.parametrize(
    ("more", "are_asked"), [({}, True), ({"build_id": "1.0.3"}, False), ({"event_stream_url": ""}, False)]
)
async def test_workers_are_asked_only_where_an_api_may_choose_any(
    more: dict[str, str],
    are_asked: bool,
    temporal: WorkflowEnvironment,
    temporal_port: int,
    provider: ScriptedProvider,
    valkey: ValkeyServer,
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider, **{"event_stream_url": valkey.url, **more})

    async with open_starting_workers(settings, temporal.client) as workers:
        assert (workers is not None) == are_asked


async def test_trace_of_the_request_goes_on_in_the_worker(workers: StartingWorkers) -> None:
    starts = Starts()
    header = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    async with _worker(workers, starts), _requests(workers) as asked:
        token = context.attach(TraceContextTextMapPropagator().extract(header))
        assert await asked.start(RUN)
        context.detach(token)
        assert await asked.start(RUN)

    assert starts.traces == [0x0AF7651916CD43DD8448EB211C80319C, 0]
