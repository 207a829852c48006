"""Requests of the SDKs' poll helpers are long polls. For the polls of others see tests/api/test_rapid_polls.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run
from starlette.datastructures import Headers

from api import long_polls
from api.long_polls import LongPolls
from infra.event_stream.in_process import InProcessEventStream
from models.runs import RunStatus
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Held, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider

PROJECT = "default"
HELPER = {"X-Stainless-Poll-Helper": "true"}
# Enough requests with immediate answers to show that another one waits.
OTHERS = 20


@pytest.fixture
async def http(holdfast: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=holdfast.url, timeout=30) as client:
        yield client


@asynccontextmanager
async def blocked_run(
    holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, reply: Reply
) -> AsyncIterator[tuple[Run, Held]]:
    """A run whose model has begun to answer and continues when it is released."""
    held = Held(reply, after="Well, ")
    provider.script(model, held)
    run = await holdfast.run(await holdfast.assistant(model, "get_weather"))
    await held.arrived()
    yield run, held
    held.release()
    await holdfast.until(run)


def poll(http: httpx.AsyncClient, run: Run, **headers: str) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(http.get(_url(run), headers={**HELPER, **headers}))


async def _ask_otherwise(http: httpx.AsyncClient, run: Run) -> None:
    assert (await http.get(_url(run))).json()["status"] == "in_progress"
    for _ in range(OTHERS):
        assert (await http.get(f"/v1/threads/{run.thread_id}")).is_success


def _url(run: Run) -> str:
    return f"/v1/threads/{run.thread_id}/runs/{run.id}"


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("reply", "status"), [(Says("there."), "completed"), (Calls(("get_weather", "{}")), "requires_action")]
)
async def test_long_poll_ends_when_run_ends_or_requires_action(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider, reply: Reply, status: str
) -> None:
    async with blocked_run(holdfast, provider, f"held-{status}", reply) as (run, held):
        polls = [poll(http, run) for _ in range(3)]
        await _ask_otherwise(http, run)
        assert not any(each.done() for each in polls)

        held.release()

        async with asyncio.timeout(long_polls.LONGEST.total_seconds()):
            assert [each.json()["status"] for each in await asyncio.gather(*polls)] == [status] * 3
        # The run has stopped: a further poll does not wait.
        assert (await poll(http, run)).json()["status"] == status


@pytest.mark.any_database
@pytest.mark.parametrize("header", ["X-Stainless-Read-Timeout", "X-Stainless-Timeout"])
async def test_long_poll_ends_before_clients_timeout(
    holdfast: RunningHoldfast,
    http: httpx.AsyncClient,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    header: str,
) -> None:
    monkeypatch.setattr(long_polls, "LONGEST", timedelta(minutes=1))
    async with blocked_run(holdfast, provider, f"held-{header}", Says("there.")) as (run, _), asyncio.timeout(30):
        answer = await poll(http, run, **{header: "0.2"})

    assert answer.json()["status"] == "in_progress"


@pytest.mark.any_database
@pytest.mark.parametrize("given", ["", "soon", "-1", "nan", "1.2.3", "1e9"])
async def test_invalid_timeout_header_is_ignored(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider, given: str
) -> None:
    async with blocked_run(holdfast, provider, f"held-time-{given}", Says("there.")) as (run, held):
        answer = poll(http, run, **{"X-Stainless-Read-Timeout": given})
        held.release()

        assert (await answer).json()["status"] == "completed"


@pytest.mark.any_database
async def test_long_poll_ends_at_limit_without_news(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_polls, "LONGEST", timedelta(seconds=0.05))
    async with blocked_run(holdfast, provider, "held-lost", Says("there.")) as (run, _), asyncio.timeout(30):
        assert (await poll(http, run)).json()["status"] == "in_progress"


@pytest.mark.any_database
async def test_long_poll_of_unknown_run_does_not_wait(http: httpx.AsyncClient) -> None:
    missing = await http.get("/v1/threads/thread_none/runs/run_none", headers=HELPER)

    assert missing.status_code == httpx.codes.NOT_FOUND


async def test_stopping_server_answers_all_long_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_polls, "LONGEST", timedelta(minutes=1))
    run: Any = SimpleNamespace(id="run_held", status=RunStatus.IN_PROGRESS)
    polls = LongPolls(InProcessEventStream(timedelta(minutes=1)), timedelta())
    loads = 0

    async def load() -> Any:
        nonlocal loads
        loads += 1
        return run

    waiting = [asyncio.create_task(polls.answer(Headers(HELPER), PROJECT, run.id, load)) for _ in range(3)]
    while loads < len(waiting):
        await asyncio.sleep(0)
    polls.stop()

    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [run] * 3
        assert await polls.answer(Headers(HELPER), PROJECT, run.id, load) == run


async def test_stopping_server_answers_long_polls_that_still_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_polls, "LONGEST", timedelta(minutes=1))
    run: Any = SimpleNamespace(id="run_held", status=RunStatus.IN_PROGRESS)
    polls = LongPolls(InProcessEventStream(timedelta(minutes=1)), timedelta())
    is_loading, is_loaded = asyncio.Event(), asyncio.Event()

    async def load() -> Any:
        is_loading.set()
        await is_loaded.wait()
        return run

    waiting = asyncio.create_task(polls.answer(Headers(HELPER), PROJECT, run.id, load))
    await is_loading.wait()
    polls.stop()
    is_loaded.set()

    async with asyncio.timeout(5):
        assert await waiting == run


@pytest.mark.any_database
async def test_long_poll_ends_when_another_process_ends_run(
    apis: tuple[RunningHoldfast, RunningHoldfast], provider: ScriptedProvider
) -> None:
    for api in apis:
        async with (
            httpx.AsyncClient(base_url=api.url, timeout=30) as http,
            blocked_run(apis[0], provider, f"held-apart-{api is apis[0]}", Says("there.")) as (run, held),
        ):
            answer = poll(http, run)
            await _ask_otherwise(http, run)
            assert not answer.done()

            held.release()

            async with asyncio.timeout(long_polls.LONGEST.total_seconds()):
                assert (await answer).json()["status"] == "completed"
