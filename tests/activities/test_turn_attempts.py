"""Several attempts at one turn, as when a worker stood still so long that another took over, and then goes on.

The newest one has the say, in the database and in the run's stream, whatever an older one still does.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openai.types.beta.threads import Run
from sqlalchemy import update
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities import model_turn, run_finalization
from activities.model_turn import ModelTurn
from activities.prompt import build_request
from activities.run_finalization import RunFinalization
from activities.turn_stream import left_behind
from infra.clock import now_ms
from infra.database.tables import RUNS
from infra.ports import EventStream
from infra.resources import open_event_stream
from infra.run_workflows import RunWorkflows
from models.events import text_delta
from models.language_model import ModelRequest
from models.runs import RunStatus
from models.step_events import StreamPosition
from models.turns import Finalization, TurnInput, TurnOutcome
from tests.conftest import NewDatabase, settings_for
from tests.database import writing
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Fails, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent, following, names
from tests.streams import all_events, events_url
from tests.valkey import ValkeyServer

HEARTBEAT_TIMEOUT = timedelta(seconds=20)
FIRST_BEGAN = datetime.now(UTC)
CUT_SHORT = ["message.delta", "message.incomplete", "run.step.failed", "run.failed", "done"]
GIVEN_UP = "This attempt at turn 0 was given up."


@dataclass(frozen=True)
class Workers:
    """An API and two workers, which share the event stream as `holdfast up` does or have Redis between them."""

    holdfast: RunningHoldfast
    streams: tuple[EventStream, EventStream]

    def begin(
        self, run: Run, attempt: int, environment: ActivityEnvironment | None = None
    ) -> asyncio.Task[TurnOutcome]:
        """Have the first or the second worker make the first or the second attempt at the run's turn."""
        resources = self.holdfast.resources
        workflows = RunWorkflows(resources.temporal, resources.settings)
        turn = ModelTurn(resources.database, resources.language_model, workflows, self.streams[attempt - 1])
        environment = environment or ActivityEnvironment()
        began = FIRST_BEGAN + (attempt - 1) * HEARTBEAT_TIMEOUT
        environment.info = dataclasses.replace(
            environment.info, attempt=attempt, started_time=began, heartbeat_timeout=HEARTBEAT_TIMEOUT
        )
        return asyncio.create_task(environment.run(turn.generate, TurnInput(run.id, 0)))

    async def end(self, run: Run) -> None:
        """Have the second worker end the run as a failed one."""
        resources = self.holdfast.resources
        workflows = RunWorkflows(resources.temporal, resources.settings)
        endings = RunFinalization(resources.database, workflows, self.streams[1])
        await ActivityEnvironment().run(endings.finalize, Finalization(run.id, RunStatus.FAILED))


@pytest.fixture(params=["up", "apart"])
async def workers(
    request: pytest.FixtureRequest,
    temporal_port: int,
    provider: ScriptedProvider,
    new_database: NewDatabase,
    valkey: ValkeyServer,
    tmp_path: Path,
) -> AsyncIterator[Workers]:
    url = valkey.url if request.param == "apart" else ""
    settings = settings_for(tmp_path, temporal_port, provider, new_database(), event_stream_url=url)
    async with AsyncExitStack() as opened:
        holdfast = await opened.enter_async_context(running_holdfast(settings, with_worker=False))
        first = holdfast.resources.event_stream
        second = await opened.enter_async_context(open_event_stream(settings)) if url else first
        yield Workers(holdfast, (first, second))


async def test_the_answer_of_the_newest_is_kept_and_told_though_an_older_one_is_first(
    workers: Workers, provider: ScriptedProvider
) -> None:
    slow, quick = Held(Says(" upon a time, at last."), after="Once"), Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, slow, quick)
    first = workers.begin(run, 1)
    await slow.arrived()

    async with following(events_url(workers.holdfast, run.to_dict())) as stream, asyncio.timeout(30):
        seen = await _until_said(stream, "Once")
        second = workers.begin(run, 2)
        await quick.arrived()
        # All at once, as a provider's words that had waited in the worker's buffers.
        slow.release()
        with pytest.raises(ApplicationError, match=GIVEN_UP):
            await first
        quick.release()
        assert (await second).status is RunStatus.COMPLETED
        seen += [event async for event in stream]

    assert names(seen)[-4:] == ["message.completed", "run.step.completed", "run.completed", "done"]
    assert seen[-4].json["content"][0]["text"]["value"] == "Told in short."
    assert await workers.holdfast.texts(run) == ["Hello", "Told in short."]
    assert "at last" not in "".join(event.data for event in seen)
    told = await all_events(workers.holdfast, run.to_dict())
    assert names(told)[-4:] == names(seen)[-4:]


async def test_an_attempt_that_hears_of_its_turn_too_late_asks_nothing(
    workers: Workers, provider: ScriptedProvider
) -> None:
    held = Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, held, Says("Never said."))
    second = workers.begin(run, 2)
    await held.arrived()

    with pytest.raises(ApplicationError, match=GIVEN_UP):
        await workers.begin(run, 1)
    held.release()

    assert (await second).status is RunStatus.COMPLETED
    assert await workers.holdfast.texts(run) == ["Hello", "Told in short."]
    assert len(provider.requests(run.model)) == 1


async def test_an_attempt_that_stood_still_before_it_asked_asks_no_more(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands_still, goes_on = asyncio.Event(), asyncio.Event()

    async def build_request_in_the_end(*about: Any) -> ModelRequest:
        monkeypatch.setattr(model_turn, "build_request", build_request)
        stands_still.set()
        await goes_on.wait()
        return await build_request(*about)

    monkeypatch.setattr(model_turn, "build_request", build_request_in_the_end)
    run = await _run(workers, provider, Says("Told in short."), Says("Never said."))
    first = workers.begin(run, 1)
    await stands_still.wait()
    monkeypatch.setattr(model_turn, "now_ms", lambda: now_ms() + HEARTBEAT_TIMEOUT // timedelta(milliseconds=1))

    assert (await workers.begin(run, 2)).status is RunStatus.COMPLETED
    goes_on.set()

    assert await first == await workers.begin(run, 2)
    assert len(provider.requests(run.model)) == 1


async def test_an_attempt_that_hears_it_was_given_up_goes_quietly(workers: Workers, provider: ScriptedProvider) -> None:
    run = await _run(workers, provider, Hangs(after="Once"))
    environment = ActivityEnvironment()
    first = workers.begin(run, 1, environment)
    await provider.requested(run.model)

    environment.cancel(ActivityCancellationDetails(not_found=True))

    with pytest.raises(ApplicationError, match=GIVEN_UP) as raised:
        await first
    # Of others the SDK logs a stack trace.
    assert raised.value.category is ApplicationErrorCategory.BENIGN
    await provider.disconnected(run.model)
    await workers.holdfast.until(run, "in_progress")


async def test_an_answer_gets_its_end_though_others_took_the_numbers_of_its_words(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker does of a version that knows nothing of replaced writers."""
    held = Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, held)
    stream = workers.streams[0]
    append = stream.append

    async def append_at_once(run_id: str, *events: Any) -> bool:
        is_added = await append(run_id, *events)
        await stream.following(run_id)
        return is_added

    monkeypatch.setattr(stream, "append", append_at_once)
    attempt = workers.begin(run, 1)
    await held.arrived()

    async with following(events_url(workers.holdfast, run.to_dict())) as read, asyncio.timeout(30):
        await _until_said(read, "Told")
        others = [text_delta("msg_old", 0, "old", is_first=not number) for number in range(20)]
        await stream.append(run.id, await stream.following(run.id), others)
        held.release()
        assert (await attempt).status is RunStatus.COMPLETED
        seen = [event async for event in read]

    assert names(seen)[-4:] == ["message.completed", "run.step.completed", "run.completed", "done"]
    assert seen[-4].json["content"][0]["text"]["value"] == "Told in short."


async def test_a_run_that_is_ended_in_mid_answer_is_told_again_as_it_was_shown(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(Hangs(after=" upon a time."), after="Once")
    run = await _run(workers, provider, held)
    events, says_more = workers.streams[0], asyncio.Event()
    append = events.append

    async def append_at_once(run_id: str, *about: Any) -> bool:
        is_added = await append(run_id, *about)
        await events.following(run_id)
        says_more.set()
        return is_added

    async def left_behind_and_said_more(*about: Any) -> StreamPosition:
        position = await left_behind(*about)
        says_more.clear()
        held.release()
        await says_more.wait()
        return position

    monkeypatch.setattr(events, "append", append_at_once)
    monkeypatch.setattr(run_finalization, "left_behind", left_behind_and_said_more)
    attempt = workers.begin(run, 1)
    await held.arrived()

    async with following(events_url(workers.holdfast, run.to_dict())) as stream, asyncio.timeout(30):
        seen = await _until_said(stream, "Once")
        await workers.end(run)
        seen += [event async for event in stream]

    attempt.cancel()
    assert "upon" not in seen[-5].data
    assert names(seen)[-6:] == ["message.in_progress", *CUT_SHORT]
    assert [event.number for event in seen[:-1]] == list(range(len(seen) - 1))
    assert await all_events(workers.holdfast, run.to_dict()) == seen
    assert await workers.holdfast.texts(run) == ["Hello"]


async def test_a_run_is_ended_though_a_new_attempt_begins_meanwhile(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(Says(" upon a time."), after="Once")
    run = await _run(workers, provider, Hangs(), held)
    first = workers.begin(run, 1)
    await provider.requested(run.model)
    second: list[asyncio.Task[TurnOutcome]] = []

    async def left_behind_and_begun_again(*about: Any) -> StreamPosition:
        monkeypatch.setattr(run_finalization, "left_behind", left_behind)
        position = await left_behind(*about)
        second.append(workers.begin(run, 2))
        await held.arrived()
        return position

    monkeypatch.setattr(run_finalization, "left_behind", left_behind_and_begun_again)
    async with following(events_url(workers.holdfast, run.to_dict())) as stream, asyncio.timeout(30):
        ending = asyncio.create_task(workers.end(run))
        seen = await _until_said(stream, "Once")
        await ending
        held.release()
        await second[0]
        seen += [event async for event in stream]

    assert names(seen)[-6:] == ["message.in_progress", *CUT_SHORT]
    first.cancel()


async def test_what_stops_an_older_one_is_not_the_end_of_the_run(workers: Workers, provider: ScriptedProvider) -> None:
    refused, held = Held(Fails(401)), Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, refused, held)
    first = workers.begin(run, 1)
    await refused.arrived()
    second = workers.begin(run, 2)
    await held.arrived()

    refused.release()
    with pytest.raises(ApplicationError, match="Scripted failure"):
        await first
    held.release()

    assert (await second).status is RunStatus.COMPLETED
    assert await workers.holdfast.texts(run) == ["Hello", "Told in short."]


@pytest.mark.any_database
async def test_the_deadline_that_an_older_one_knows_of_does_not_count(
    workers: Workers, provider: ScriptedProvider
) -> None:
    held = Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, Hangs(after="Once"), held)
    await _set_deadline(workers, run, seconds=5)
    first = workers.begin(run, 1)
    await provider.requested(run.model)
    # As a retry of the failed run does.
    await _set_deadline(workers, run, seconds=600)
    second = workers.begin(run, 2)
    await held.arrived()

    with pytest.raises(ApplicationError, match=GIVEN_UP):
        await first
    held.release()

    assert (await second).status is RunStatus.COMPLETED


async def _run(workers: Workers, provider: ScriptedProvider, *replies: Any) -> Run:
    model = f"attempts-{uuid4().hex}"
    provider.script(model, *replies)
    return await workers.holdfast.run(await workers.holdfast.assistant(model))


async def _until_said(stream: AsyncIterator[Sent], word: str) -> list[Sent]:
    seen: list[Sent] = []
    async for event in stream:
        seen.append(event)
        if event.name == "thread.message.delta" and word in event.data:
            return seen
    raise AssertionError(f"the stream ended without {word!r}")


async def _set_deadline(workers: Workers, run: Run, seconds: int) -> None:
    with writing(workers.holdfast.resources.database) as connection:
        values = {"expires_at": int(time.time()) + seconds}
        connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(**values))
