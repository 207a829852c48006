"""Several attempts at one turn: a worker stops responding, another one repeats the turn, and the first continues.

The newest attempt supersedes the older ones, in the database and in the run's stream.
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
from activities.images import Images
from activities.model_turn import ModelTurn
from activities.prompt import Question, build_request
from activities.run_finalization import RunFinalization
from activities.takeovers import SILENT_FOR
from activities.turn_stream import left_behind
from infra.clock import now_ms
from infra.database.run_tables import RUNS
from infra.ports import EventStream
from infra.resources import open_event_stream
from infra.run_workflows import RunWorkflows
from models.events import text_delta
from models.finalization import Finalization
from models.runs import RunIncompleteReason, RunStatus
from models.step_events import StreamPosition
from models.turns import TurnInput, TurnOutcome
from tests.conftest import settings_for
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
SUPERSEDED = "This attempt at turn 0 was superseded."


MAX_TURNS = 50


@dataclass(frozen=True)
class Workers:
    """An API and two workers, which share an event stream in process (as `holdfast up` does) or through Redis."""

    holdfast: RunningHoldfast
    streams: tuple[EventStream, EventStream]

    def begin(
        self, run: Run, attempt: int, environment: ActivityEnvironment | None = None
    ) -> asyncio.Task[TurnOutcome]:
        """Start attempt 1 of the run's turn on the first worker, or attempt 2 on the second."""
        resources = self.holdfast.resources
        workflows = RunWorkflows(resources.temporal, resources.settings)
        turn = ModelTurn(
            resources.database,
            Images(resources.database, resources.object_store),
            resources.object_store,
            resources.language_model,
            workflows,
            self.streams[attempt - 1],
            MAX_TURNS,
        )
        environment = environment or ActivityEnvironment()
        began = FIRST_BEGAN + (attempt - 1) * HEARTBEAT_TIMEOUT
        environment.info = dataclasses.replace(
            environment.info, attempt=attempt, started_time=began, heartbeat_timeout=HEARTBEAT_TIMEOUT
        )
        return asyncio.create_task(environment.run(turn.generate, TurnInput(run.id, 0)))

    async def end(self, run: Run) -> None:
        """Finalize the run as failed on the second worker."""
        resources = self.holdfast.resources
        workflows = RunWorkflows(resources.temporal, resources.settings)
        finalization = RunFinalization(resources.database, workflows, self.streams[1])
        await ActivityEnvironment().run(finalization.finalize, Finalization(run.id, RunStatus.FAILED))


@pytest.fixture(params=["up", "apart"])
async def workers(
    request: pytest.FixtureRequest,
    temporal_port: int,
    provider: ScriptedProvider,
    own_database: str,
    valkey: ValkeyServer,
    tmp_path: Path,
) -> AsyncIterator[Workers]:
    url = valkey.url if request.param == "apart" else ""
    settings = settings_for(tmp_path, temporal_port, provider, own_database, event_stream_url=url)
    async with AsyncExitStack() as opened:
        holdfast = await opened.enter_async_context(running_holdfast(settings, with_worker=False))
        first = holdfast.resources.event_stream
        second = await opened.enter_async_context(open_event_stream(settings)) if url else first
        yield Workers(holdfast, (first, second))


async def test_newest_attempts_answer_is_committed_and_emitted(workers: Workers, provider: ScriptedProvider) -> None:
    slow, quick = Held(Says(" upon a time, at last."), after="Once"), Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, slow, quick)
    first = workers.begin(run, 1)
    await slow.arrived()

    async with following(events_url(workers.holdfast, run.to_dict())) as stream, asyncio.timeout(30):
        seen = await _until_said(stream, "Once")
        second = workers.begin(run, 2)
        await quick.arrived()
        # One chunk, like several words that the worker has buffered.
        slow.release()
        with pytest.raises(ApplicationError, match=SUPERSEDED):
            await first
        quick.release()
        assert (await second).status is RunStatus.COMPLETED
        seen += [event async for event in stream]

    assert names(seen)[-4:] == ["message.completed", "run.step.completed", "run.completed", "done"]
    assert seen[-4].json["content"][0]["text"]["value"] == "Told in short."
    assert await workers.holdfast.texts(run) == ["Hello", "Told in short."]
    assert "at last" not in "".join(event.data for event in seen)
    replayed = await all_events(workers.holdfast, run.to_dict())
    assert names(replayed)[-4:] == names(seen)[-4:]


async def test_older_attempt_that_begins_last_does_not_call_model(workers: Workers, provider: ScriptedProvider) -> None:
    held = Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, held, Says("Never said."))
    second = workers.begin(run, 2)
    await held.arrived()

    with pytest.raises(ApplicationError, match=SUPERSEDED):
        await workers.begin(run, 1)
    held.release()

    assert (await second).status is RunStatus.COMPLETED
    assert await workers.holdfast.texts(run) == ["Hello", "Told in short."]
    assert len(provider.requests(run.model)) == 1


async def test_superseded_attempt_does_not_call_model_after_stall(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_stalled, goes_on = asyncio.Event(), asyncio.Event()

    async def build_request_late(*about: Any) -> Question | RunIncompleteReason:
        monkeypatch.setattr(model_turn, "build_request", build_request)
        is_stalled.set()
        await goes_on.wait()
        return await build_request(*about)

    monkeypatch.setattr(model_turn, "build_request", build_request_late)
    run = await _run(workers, provider, Says("Told in short."), Says("Never said."))
    first = workers.begin(run, 1)
    await is_stalled.wait()
    monkeypatch.setattr(model_turn, "now_ms", lambda: now_ms() + SILENT_FOR // timedelta(milliseconds=1))

    assert (await workers.begin(run, 2)).status is RunStatus.COMPLETED
    goes_on.set()

    assert await first == await workers.begin(run, 2)
    assert len(provider.requests(run.model)) == 1


async def test_superseded_attempt_logs_no_stack_trace(workers: Workers, provider: ScriptedProvider) -> None:
    run = await _run(workers, provider, Hangs(after="Once"))
    environment = ActivityEnvironment()
    first = workers.begin(run, 1, environment)
    await provider.requested(run.model)

    environment.cancel(ActivityCancellationDetails(not_found=True))

    with pytest.raises(ApplicationError, match=SUPERSEDED) as raised:
        await first
    # For other exceptions the SDK logs a stack trace.
    assert raised.value.category is ApplicationErrorCategory.BENIGN
    await provider.disconnected(run.model)
    await workers.holdfast.until(run, "in_progress")


async def test_answer_completes_although_numbers_of_its_deltas_are_taken(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of a version without fencing tokens appends such events."""
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


async def test_replay_of_run_finalized_during_answer_equals_stream(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(Hangs(after=" upon a time."), after="Once")
    run = await _run(workers, provider, held)
    events, has_emitted = workers.streams[0], asyncio.Event()
    append = events.append

    async def append_at_once(run_id: str, *about: Any) -> bool:
        is_added = await append(run_id, *about)
        await events.following(run_id)
        has_emitted.set()
        return is_added

    async def aborted_step_after_more_words(*about: Any) -> StreamPosition:
        position = await left_behind(*about)
        has_emitted.clear()
        held.release()
        await has_emitted.wait()
        return position

    monkeypatch.setattr(events, "append", append_at_once)
    monkeypatch.setattr(run_finalization, "left_behind", aborted_step_after_more_words)
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


async def test_run_is_finalized_although_new_attempt_begins_meanwhile(
    workers: Workers, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(Says(" upon a time."), after="Once")
    run = await _run(workers, provider, Hangs(), held)
    first = workers.begin(run, 1)
    await provider.requested(run.model)
    second: list[asyncio.Task[TurnOutcome]] = []

    async def aborted_step_and_new_attempt(*about: Any) -> StreamPosition:
        monkeypatch.setattr(run_finalization, "left_behind", left_behind)
        position = await left_behind(*about)
        second.append(workers.begin(run, 2))
        await held.arrived()
        return position

    monkeypatch.setattr(run_finalization, "left_behind", aborted_step_and_new_attempt)
    async with following(events_url(workers.holdfast, run.to_dict())) as stream, asyncio.timeout(30):
        ending = asyncio.create_task(workers.end(run))
        seen = await _until_said(stream, "Once")
        await ending
        held.release()
        await second[0]
        seen += [event async for event in stream]

    assert names(seen)[-6:] == ["message.in_progress", *CUT_SHORT]
    first.cancel()


async def test_failure_of_superseded_attempt_does_not_finalize_run(
    workers: Workers, provider: ScriptedProvider
) -> None:
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
async def test_deadline_of_superseded_attempt_does_not_expire_run(workers: Workers, provider: ScriptedProvider) -> None:
    held = Held(Says(" in short."), after="Told")
    run = await _run(workers, provider, Hangs(after="Once"), held)
    await _set_deadline(workers, run, seconds=5)
    first = workers.begin(run, 1)
    await provider.requested(run.model)
    # A retry of the failed run does this.
    await _set_deadline(workers, run, seconds=600)
    second = workers.begin(run, 2)
    await held.arrived()

    with pytest.raises(ApplicationError, match=SUPERSEDED):
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
