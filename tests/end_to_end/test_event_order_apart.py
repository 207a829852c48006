"""Events of an API and a worker in processes of their own arrive in order, even where the API's connection is slow."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run

from infra.ports import NO_EVENTS, EventStream
from infra.resources import open_resources
from models.events import Event
from tests.conftest import NewDatabase, settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.program import until
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.slow_proxy import slow_proxy
from tests.valkey import ValkeyServer
from workflows.worker import open_worker

pytestmark = [pytest.mark.any_database, pytest.mark.slow]

# Longer than a worker takes for its next step.
DELAY = timedelta(milliseconds=300)


@pytest.fixture
async def slow_api(
    temporal_port: int, provider: ScriptedProvider, new_database: NewDatabase, valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[RunningHoldfast]:
    """An API with a slow way to the event stream, and a worker with a quick one."""
    where: Any = (tmp_path, temporal_port, provider, new_database())
    async with slow_proxy(valkey.port, DELAY) as port:
        slow = settings_for(*where, event_stream_url=f"redis://127.0.0.1:{port}/0")
        async with (
            running_holdfast(slow, with_worker=False) as api,
            open_resources(settings_for(*where, event_stream_url=valkey.url)) as resources,
            open_worker(resources),
        ):
            # The first write waits for the connection as well, which is not what is tested here.
            await api.resources.event_stream.append(tmp_path.name, 0, [Event("thread.run.created", "{}")])
            await until(lambda: _has_events(resources.event_stream, tmp_path.name), "nothing gets through")
            yield api


async def test_outputs_that_are_submitted(slow_api: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("order-submit", Calls(("f", "{}")), Says("It is sunny."))
    run = await slow_api.until(await slow_api.run(await slow_api.assistant("order-submit", "f")))

    await slow_api.submit(run, "sunny")

    await slow_api.until(run, "completed")
    await _assert_no_gap(slow_api, run)


async def test_a_failed_run_that_is_retried(slow_api: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("order-retry", Fails(400), Says("It is sunny."))
    run = await slow_api.until(await slow_api.run(await slow_api.assistant("order-retry")), "failed")

    async with httpx.AsyncClient(timeout=30) as http:
        retried = await http.post(f"{slow_api.url}/ops/runs/{run.id}/retry", json={})
    assert retried.is_success, retried.text

    await slow_api.until(run, "completed")
    await _assert_no_gap(slow_api, run)


async def _has_events(stream: EventStream, run_id: str) -> bool:
    return await stream.following(run_id) > 0


async def _assert_no_gap(holdfast: RunningHoldfast, run: Run) -> None:
    stream = holdfast.resources.event_stream
    batch = NO_EVENTS

    async def has_ended() -> bool:
        nonlocal batch
        batch = await stream.read(run.id, -1, timedelta(), 1000)
        return bool(batch.events) and batch.events[-1].name == "thread.run.completed"

    await until(has_ended, "the stream has not got all events")
    assert batch.first == 0
