"""A plain poll that follows rapidly on the same answer is held until there is news of the run, or for a moment."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.datastructures import Headers

from api import long_polls, rapid_polls
from api.app import create_app
from api.long_polls import LongPolls
from api.rapid_polls import RecentAnswers
from infra.event_stream.in_process import InProcessEventStream
from infra.event_stream.redis_streams import RedisEventStream
from infra.ports import EventStream
from models.events import Event
from models.runs import Run, RunStatus
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Held, Says
from tests.provider.scripted_provider import ScriptedProvider

LONG = timedelta(minutes=1)
PROJECT = "default"
PLAIN = Headers()
# Enough turns of the loop for an answer that nothing holds.
TURNS = 20


@pytest.fixture(autouse=True)
def _every_poll_is_rapid(monkeypatch: pytest.MonkeyPatch) -> None:
    # However busy the machine is.
    monkeypatch.setattr(rapid_polls, "RAPID", LONG)
    monkeypatch.setattr(long_polls, "QUEUED_LONGEST", LONG)


@dataclass
class Polled:
    """A run as `load` finds it, and its polls."""

    held_for: timedelta = LONG
    status: RunStatus = RunStatus.IN_PROGRESS
    metadata: dict[str, str] = field(default_factory=dict)
    stream: EventStream = field(default_factory=lambda: InProcessEventStream(LONG))

    def __post_init__(self) -> None:
        self.loads = 0
        self.polls = LongPolls(self.stream, self.held_for)

    async def load(self) -> Run:
        self.loads += 1
        started_at = None if self.status is RunStatus.QUEUED else 1
        fields: Any = {"id": "run_a", "status": self.status, "started_at": started_at, "metadata": dict(self.metadata)}
        return Run.model_construct(**fields)

    async def poll(self, headers: Headers = PLAIN, project: str = PROJECT) -> Run:
        return await self.polls.answer(headers, project, "run_a", self.load)

    async def end(self) -> None:
        self.status = RunStatus.COMPLETED
        await self.stream.append("run_a", 0, [Event("thread.run.completed", "{}")])

    @contextmanager
    def held(self, count: int = 1) -> Iterator[list["asyncio.Task[Run]"]]:
        tasks = [asyncio.create_task(self.poll()) for _ in range(count)]
        yield tasks
        for task in tasks:
            task.cancel()


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_rapid_polls_are_answered_when_run_ends() -> None:
    polled = Polled()
    await polled.poll()

    with polled.held(count=2) as polls:
        await _turns()
        assert not any(poll.done() for poll in polls)
        await polled.end()

        async with asyncio.timeout(5):
            assert [run.status for run in await asyncio.gather(*polls)] == ["completed"] * 2


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.CANCELLING])
async def test_only_a_poll_with_the_same_answer_is_held(status: RunStatus) -> None:
    polled = Polled(status=status)
    async with asyncio.timeout(5):
        await polled.poll()
        polled.metadata["seen"] = "no"

        assert (await polled.poll()).metadata == {"seen": "no"}
    with polled.held() as [poll]:
        await _turns()
        assert not poll.done()


async def test_beginning_of_a_queued_run_is_no_news() -> None:
    polled = Polled(status=RunStatus.QUEUED)
    await polled.poll()
    polled.status = RunStatus.IN_PROGRESS

    with polled.held() as [poll]:
        await _turns()
        assert not poll.done()


async def test_a_client_that_believes_a_run_queued_hears_that_it_has_begun_after_a_shorter_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polled = Polled(status=RunStatus.QUEUED)
    monkeypatch.setattr(long_polls, "QUEUED_LONGEST", timedelta(milliseconds=50))
    await polled.poll()
    polled.status = RunStatus.IN_PROGRESS

    async with asyncio.timeout(5):
        assert (await polled.poll()).status == "in_progress"
    with polled.held() as [poll]:
        await asyncio.wait({poll}, timeout=0.1)
        assert not poll.done()


async def test_change_of_a_run_that_has_begun_meanwhile_is_answered_at_once() -> None:
    polled = Polled(status=RunStatus.QUEUED)
    await polled.poll()
    polled.status = RunStatus.IN_PROGRESS
    polled.metadata["seen"] = "no"

    async with asyncio.timeout(5):
        assert (await polled.poll()).metadata == {"seen": "no"}


@pytest.mark.parametrize("status", [each for each in RunStatus if each not in long_polls.WAITED_FOR])
async def test_run_that_waits_for_client_or_has_ended_is_answered_at_once(status: RunStatus) -> None:
    polled = Polled(status=status)

    async with asyncio.timeout(5):
        assert [(await polled.poll()).status for _ in range(3)] == [status] * 3


async def test_run_is_answered_at_once_that_is_again_as_before_a_pause() -> None:
    polled = Polled()

    async with asyncio.timeout(5):
        for status in (RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION, RunStatus.IN_PROGRESS):
            polled.status = status
            assert (await polled.poll()).status == status


async def test_poll_without_haste_is_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapid_polls, "RAPID", timedelta())
    polled = Polled()

    async with asyncio.timeout(5):
        assert [(await polled.poll()).status for _ in range(3)] == ["in_progress"] * 3


async def test_rapid_poll_without_news_is_answered_after_a_moment() -> None:
    polled = Polled(held_for=timedelta(milliseconds=50))

    async with asyncio.timeout(5):
        assert [(await polled.poll()).status for _ in range(3)] == ["in_progress"] * 3


@pytest.mark.parametrize("header", long_polls.TIMEOUTS)
async def test_rapid_poll_is_answered_before_its_client_gives_up(header: str) -> None:
    polled = Polled()

    async with asyncio.timeout(5):
        await polled.poll()
        assert (await polled.poll(Headers({header: "0.1"}))).status == "in_progress"


async def test_no_poll_is_held_if_the_settings_say_so() -> None:
    polled = Polled(held_for=timedelta())

    async with asyncio.timeout(5):
        assert [(await polled.poll()).status for _ in range(3)] == ["in_progress"] * 3
    assert polled.loads == 3


async def test_no_poll_is_held_without_notifications() -> None:
    async with Redis() as never_connected:
        polled = Polled(stream=RedisEventStream(never_connected, LONG))

        async with asyncio.timeout(5):
            assert [(await polled.poll()).status for _ in range(3)] == ["in_progress"] * 3


async def test_answers_to_other_projects_and_to_poll_helpers_hold_no_poll() -> None:
    polled = Polled()

    async with asyncio.timeout(5):
        await polled.poll(project="red")
        await polled.poll(Headers({long_polls.HELPER: "true", long_polls.TIMEOUTS[0]: "0.1"}))
        assert (await polled.poll()).status == "in_progress"


async def test_stopping_server_answers_rapid_polls() -> None:
    polled = Polled()
    await polled.poll()

    with polled.held() as [poll]:
        await _turns()
        polled.polls.stop()

        async with asyncio.timeout(5):
            assert (await poll).status == "in_progress"
            assert (await polled.poll()).status == "in_progress"


async def test_cancelled_poll_leaves_the_others_waiting() -> None:
    polled = Polled()
    await polled.poll()

    with polled.held(count=2) as [gone, staying]:
        await _turns()
        gone.cancel()
        await asyncio.wait({gone})
        assert not staying.done()
        await polled.end()

        async with asyncio.timeout(5):
            assert (await staying).status == "completed"
    assert gone.cancelled()


async def test_answers_are_forgotten_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, run = RecentAnswers(), await Polled().load()
    for number in range(1000):
        recent.add(PROJECT, run.model_copy(update={"id": f"run_{number}"}))
    kept = len(recent)
    monkeypatch.setattr(rapid_polls, "RAPID", timedelta())

    recent.add(PROJECT, run)

    assert (kept, len(recent)) == (1000, 0)


@pytest.fixture(scope="module")
async def patient(holdfast: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    """The API of the running server, which holds a rapid poll for a minute."""
    settings = holdfast.resources.settings.model_copy(update={"rapid_polls_held_for_ms": LONG.total_seconds() * 1000})
    transport = httpx.ASGITransport(create_app(replace(holdfast.resources, settings=settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as client:
        yield client


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("prefix", "headers"),
    [
        ("/v1", {}),
        ("", {"openai-beta": "assistants=v2"}),
        ("/v1", {"openai-beta": "assistants=v1"}),
        ("/openai", {}),
        ("/api/projects/default", {}),
    ],
)
async def test_every_address_of_a_run_hears_its_end_at_once(
    holdfast: RunningHoldfast,
    patient: httpx.AsyncClient,
    provider: ScriptedProvider,
    prefix: str,
    headers: dict[str, Any],
) -> None:
    held = Held(Says("there."), after="Well, ")
    provider.script("held-rapid", held)
    run = await holdfast.run(await holdfast.assistant("held-rapid"))
    await held.arrived()
    url = f"{prefix}/threads/{run.thread_id}/runs/{run.id}"
    assert (await patient.get(url, headers=headers)).json()["status"] == "in_progress"

    poll = asyncio.create_task(patient.get(url, headers=headers))
    for _ in range(TURNS):
        assert (await patient.get(f"/v1/threads/{run.thread_id}")).is_success
    assert not poll.done()
    held.release()

    async with asyncio.timeout(30):
        assert (await poll).json()["status"] == "completed"


@pytest.mark.any_database
@pytest.mark.parametrize("with_thread", [False, True])
async def test_first_poll_after_a_run_was_created_and_continued_is_rapid(
    holdfast: RunningHoldfast, patient: httpx.AsyncClient, provider: ScriptedProvider, with_thread: bool
) -> None:
    asking, answering = Held(Calls(("weather", "{}"))), Held(Says("Sunny."))
    provider.script("polled-first", asking, answering)
    body = {"assistant_id": await holdfast.assistant("polled-first", "weather")}
    thread = {"messages": [{"role": "user", "content": "Hello"}]}

    if with_thread:
        run = (await patient.post("/v1/threads/runs", json={**body, "thread": thread})).json()
    else:
        thread_id = (await patient.post("/v1/threads", json=thread)).json()["id"]
        run = (await patient.post(f"/v1/threads/{thread_id}/runs", json=body)).json()
    url = f"/v1/threads/{run['thread_id']}/runs/{run['id']}"
    waiting = await _held_until(asking, patient, url)
    [call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "sunny"}]}
    await patient.post(f"{url}/submit_tool_outputs", json=outputs)
    ended = await _held_until(answering, patient, url)

    assert (waiting["status"], ended["status"]) == ("requires_action", "completed")


@pytest.mark.any_database
async def test_changes_by_clients_end_a_hold(
    holdfast: RunningHoldfast, patient: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("held-changed", held := Held(Says("there."), after="Well, "))
    run = await holdfast.run(await holdfast.assistant("held-changed"))
    await held.arrived()
    url = f"/v1/threads/{run.thread_id}/runs/{run.id}"
    assert (await patient.get(url)).json()["status"] == "in_progress"

    modified = await _polled_after(patient, url, "", {"metadata": {"seen": "no"}})
    cancelled = await _polled_after(patient, url, "/cancel", {})

    assert (modified["status"], modified["metadata"]) == ("in_progress", {"seen": "no"})
    # The next poll may come after the end.
    assert cancelled["status"] in ("cancelling", "cancelled")


async def _polled_after(client: httpx.AsyncClient, url: str, command: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a poll during whose hold a request changes the run."""
    poll = asyncio.create_task(client.get(url))
    for _ in range(TURNS):
        assert (await client.get("/v1/threads/thread_none")).status_code == httpx.codes.NOT_FOUND
    assert not poll.done()
    assert (await client.post(f"{url}{command}", json=body)).is_success
    async with asyncio.timeout(30):
        run: dict[str, Any] = (await poll).json()
        return run


async def _held_until(answer: Held, client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The first poll's answer, which comes when the model has answered."""
    poll = asyncio.create_task(client.get(url))
    async with asyncio.timeout(30):
        await answer.arrived()
        for _ in range(TURNS):
            assert (await client.get("/v1/threads/thread_none")).status_code == httpx.codes.NOT_FOUND
        assert not poll.done()
        answer.release()
        run: dict[str, Any] = (await poll).json()
        return run
