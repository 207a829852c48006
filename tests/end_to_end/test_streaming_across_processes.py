"""Streams with several API and worker processes, connected by Redis."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import NewDatabase, settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.program import until
from tests.provider.replies import Calls, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent, following, names
from tests.streams import all_events, begun, events_url, followed, streamed, submitted
from tests.valkey import ValkeyServer, running_valkey

RUNS = 12
MOST_STARTS = 1_000


@pytest.mark.any_database
async def test_every_api_streams_runs_of_any_worker(
    apis: tuple[RunningHoldfast, RunningHoldfast], provider: ScriptedProvider
) -> None:
    for number in range(RUNS):
        provider.script(f"apart-{number}", Calls(("f", f'{{"n": {number}}}')), Says(f"This was number {number}."))

    async def run(number: int) -> None:
        here, there = apis if number % 2 else apis[::-1]
        asked = await streamed(here, await here.assistant(f"apart-{number}", "f"))
        answered = await submitted(there, asked[-2].json, "done")

        replayed = await asyncio.gather(*(all_events(api, asked[-2].json) for api in apis))

        assert names(asked)[-2:] == ["run.requires_action", "done"]
        assert names(answered)[-2:] == ["run.completed", "done"]
        assert answered[-4].json["content"][0]["text"]["value"] == f"This was number {number}."
        assert replayed[0] == replayed[1]
        assert [event.number for event in replayed[0][:-1]] == list(range(len(asked) + len(answered) - 2))
        assert [event.name for event in replayed[0][:-1]] == [e.name for e in [*asked, *answered] if e.name != "done"]

    await asyncio.gather(*(run(number) for number in range(RUNS)))


@pytest.mark.any_database
async def test_workflow_is_started_by_a_worker_that_gets_its_first_task_at_once(
    apis: tuple[RunningHoldfast, RunningHoldfast], provider: ScriptedProvider
) -> None:
    here, _ = apis
    provider.script("started-apart", *[Says("Hi.")] * MOST_STARTS)
    assistant = await here.assistant("started-apart")

    async def is_started_by_a_worker() -> bool:
        run = await here.until(await here.run(assistant), "completed")
        history = await here.resources.temporal.get_workflow_handle(run.id).fetch_history()
        return history.events[0].workflow_execution_started_event_attributes.eager_execution_accepted

    # The API and the workers need a moment to find each other.
    await until(is_started_by_a_worker, "the API starts its runs itself")


@pytest.mark.any_database
async def test_delta_reaches_other_process_at_once(
    apis: tuple[RunningHoldfast, RunningHoldfast], provider: ScriptedProvider
) -> None:
    here, there = apis
    held = Held(Says(" a time."), after="Once")
    provider.script("apart-held", held)
    run = await begun(here, await here.assistant("apart-held"))

    async with following(events_url(there, run)) as stream, asyncio.timeout(30):
        async for event in stream:
            if event.name == "thread.message.delta" and "Once" in event.data:
                # The model continues only after the first word has arrived.
                held.release()

    assert event.name == "done"


@pytest.fixture
async def with_own_valkey(
    temporal_port: int, provider: ScriptedProvider, new_database: NewDatabase, tmp_path: Path
) -> AsyncIterator[tuple[RunningHoldfast, ValkeyServer]]:
    with running_valkey() as valkey:
        settings = settings_for(tmp_path, temporal_port, provider, new_database(), event_stream_url=valkey.url)
        async with running_holdfast(settings) as holdfast:
            yield holdfast, valkey


@pytest.mark.slow
@pytest.mark.any_database
@pytest.mark.parametrize("comes_back", [True, False])
async def test_outage_of_redis_ends_no_run_and_no_stream(
    with_own_valkey: tuple[RunningHoldfast, ValkeyServer],
    provider: ScriptedProvider,
    comes_back: bool,
) -> None:
    holdfast, valkey = with_own_valkey
    model = f"apart-outage-{comes_back}"
    held = Held(Says(" a time."), after="Once upon")
    provider.script(model, held)
    seen: list[Sent] = []

    async with followed(holdfast, await holdfast.assistant(model)) as stream, asyncio.timeout(60):
        async for event in stream:
            seen.append(event)
            if event.name == "thread.message.delta" and "upon" in event.data:
                valkey.kill()
                if comes_back:
                    valkey.start()
                held.release()

    closing = ["message.completed", "run.step.completed", "run.completed", "done"]
    assert names(seen)[-4:] == closing
    assert seen[-4].json["content"][0]["text"]["value"] == "Once upon a time."
    # Events that the stream has lost are replayed from the database.
    replayed = await all_events(holdfast, seen[1].json)
    assert names(replayed)[-4:] == closing
    assert [event.number for event in replayed[:-1]] == list(range(len(replayed) - 1))
