"""`GET /metrics` after real runs: each event is counted once, under few labels."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection

from infra.database import run_finalization
from infra.metrics import MAX_MODEL_LABELS
from models.finalization import Finalization
from models.runs import RunStatus
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import reset, workflow_tasks
from tests.searched_stores import searching
from tests.sse import following

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def _scrape(holdfast: RunningHoldfast, **headers: str) -> Samples:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{holdfast.url}/metrics", headers=headers)
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
async def working(own_holdfast: RunningHoldfast) -> RunningHoldfast:
    """A Holdfast whose metrics only this test changes."""
    await own_holdfast.start_worker()
    return own_holdfast


@pytest.mark.any_database
async def test_run_with_function_call_is_counted(working: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("metered", Calls(("weather", "{}")), Says("Sunny."))
    run = await working.until(await working.run(await working.assistant("metered", "weather")))
    waiting = await _scrape(working)
    await working.until(await working.submit(run, "sunny"))

    samples = await _scrape(working)

    assert _value(waiting, "holdfast_runs_active", status="requires_action") == 1
    assert _value(samples, "holdfast_runs_active", status="requires_action") == 0
    assert _value(samples, "holdfast_runs_created_total") == 1
    assert _value(samples, "holdfast_runs_ended_total", status="completed") == 1
    # Once for the new run and once with its outputs.
    assert _value(samples, "holdfast_run_queue_seconds_count") == 2
    assert _value(samples, "holdfast_tool_outputs_seconds_count") == 1
    assert _value(samples, "holdfast_model_call_seconds_count", model="metered", outcome="answered") == 2
    assert _value(samples, "holdfast_model_first_chunk_seconds_count", model="metered") == 2
    assert _value(samples, "holdfast_tokens_total", model="metered", direction="input") == 20
    assert _value(samples, "holdfast_tokens_total", model="metered", direction="output") == 10
    assert _value(samples, "holdfast_database_up") == 1
    assert _value(samples, "holdfast_streams_open") == 0


@pytest.mark.any_database
async def test_server_calls_are_counted_by_tool_and_outcome(
    working: RunningHoldfast, provider: ScriptedProvider
) -> None:
    search = ("file_search", '{"queries": ["vacation"]}')
    provider.script("metered-search", Calls(search, search, ("file_search", "")), Says("Nothing."))
    await working.until(await working.run(await searching(working, "metered-search")))

    samples = await _scrape(working)

    counted = "holdfast_tool_call_seconds_count"
    assert _value(samples, counted, tool="file_search", outcome="answered") == 2
    assert _value(samples, counted, tool="file_search", outcome="failed") == 1


@pytest.mark.any_database
async def test_requests_are_counted_by_route_and_status(working: RunningHoldfast) -> None:
    async with httpx.AsyncClient(base_url=working.url) as client:
        await client.get("/v1/threads/thread_a")
        await client.get("/threads/thread_b")
        await client.request("PROPFIND", "/coffee")
        await client.get("/tea")

    samples = await _scrape(working)

    threads = {"method": "GET", "route": "/threads/{thread_id}"}
    assert _value(samples, "holdfast_http_requests_total", **threads, status="404") == 2
    assert _value(samples, "holdfast_http_request_seconds_count", **threads) == 2
    assert _value(samples, "holdfast_http_requests_total", method="_OTHER", route="none", status="404") == 1
    assert _value(samples, "holdfast_http_requests_total", method="GET", route="none", status="404") == 1


@pytest.mark.any_database
async def test_failure_is_counted_by_error_and_reset_as_reopened(
    working: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("metered-failure", Fails(401), Says("Hi."))
    failed = await working.until(await working.run(await working.assistant("metered-failure")), "failed")
    after_failure = await _scrape(working)
    await reset(working, failed, (await workflow_tasks(working, failed))[0])
    await working.until(failed, "completed")

    samples = await _scrape(working)

    # A model that has not answered yet has no label of its own.
    assert _value(after_failure, "holdfast_model_failures_total", model="other", error="ProviderRefused") == 1
    assert _value(after_failure, "holdfast_model_call_seconds_count", model="other", outcome="failed") == 1
    assert _value(after_failure, "holdfast_runs_ended_total", status="failed") == 1
    assert _value(samples, "holdfast_runs_reopened_total") == 1
    assert _value(samples, "holdfast_runs_ended_total", status="completed") == 1
    assert _value(samples, "holdfast_runs_created_total") == 1


@pytest.mark.any_database
async def test_open_streams_are_counted(working: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" a time."), after="Once")
    provider.script("metered-stream", held)
    assistant_id = await working.assistant("metered-stream")
    body = {"assistant_id": assistant_id, "stream": True}

    async with following(f"{working.url}/v1/threads/runs", "POST", body) as events:
        await held.arrived()
        while_open = await _scrape(working)
        held.release()
        async for _ in events:
            pass

    assert _value(while_open, "holdfast_streams_open") == 1
    async with asyncio.timeout(5):
        while _value(await _scrape(working), "holdfast_streams_open"):
            await asyncio.sleep(0.02)


@pytest.mark.any_database
async def test_cancelled_call_has_outcome_cut_short(working: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("metered-cancel", Hangs(after="Well"))
    run = await working.run(await working.assistant("metered-cancel"))
    await provider.requested("metered-cancel")
    await working.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await working.until(run, "cancelled")

    samples = await _scrape(working)

    assert _value(samples, "holdfast_model_call_seconds_count", model="other", outcome="cut_short") == 1
    assert _value(samples, "holdfast_runs_ended_total", status="cancelled") == 1


def _cancel_and_roll_back(connection: Connection, run_id: str) -> None:
    finalized = run_finalization.finalize(connection, Finalization(run_id, RunStatus.CANCELLED))
    assert finalized.state.status is RunStatus.CANCELLED
    raise InterruptedError


@pytest.mark.any_database
async def test_rolled_back_transition_is_not_counted(working: RunningHoldfast) -> None:
    run = await working.until(await working.run(await working.assistant("holdfast/scripted", "weather")))
    with pytest.raises(InterruptedError):
        await working.resources.database.write(_cancel_and_roll_back, run.id)

    assert _value(await _scrape(working), "holdfast_runs_ended_total", status="cancelled") is None


async def test_oldest_command_ages_without_worker(own_holdfast: RunningHoldfast) -> None:
    await own_holdfast.run(await own_holdfast.assistant("holdfast/scripted"))

    first = _value(await _scrape(own_holdfast), "holdfast_oldest_command_seconds")
    async with asyncio.timeout(10):
        while _value(await _scrape(own_holdfast), "holdfast_oldest_command_seconds") == first:
            pass

    assert _value(await _scrape(own_holdfast), "holdfast_runs_active", status="queued") == 1


@pytest.mark.any_database
async def test_other_metrics_work_without_database(own_holdfast: RunningHoldfast) -> None:
    file = own_holdfast.resources.settings.data_dir / "holdfast.db"
    own_holdfast.resources.database.engine.dispose()
    for part in file.parent.glob("holdfast.db*"):
        part.unlink()
    file.mkdir()

    samples = await _scrape(own_holdfast)

    assert _value(samples, "holdfast_database_up") == 0
    assert _value(samples, "holdfast_runs_active", status="queued") is None
    assert _value(samples, "process_resident_memory_bytes")


@pytest.mark.any_database
async def test_models_beyond_limit_share_a_label(own_holdfast: RunningHoldfast) -> None:
    models = own_holdfast.resources.metrics.models
    labels = [models.of_answering(f"model-{number}") for number in range(MAX_MODEL_LABELS + 2)]

    assert labels[-3:] == [f"model-{MAX_MODEL_LABELS - 1}", "other", "other"]
    assert models.of_answering("model-0") == "model-0"
    assert models.of("holdfast/scripted") == "holdfast/scripted"


@pytest.mark.any_database
async def test_operations_page_lists_exactly_the_metrics(own_holdfast: RunningHoldfast) -> None:
    async with httpx.AsyncClient() as client:
        exposed = (await client.get(f"{own_holdfast.url}/metrics")).text
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()

    ours = {name.removesuffix("_total") for name in re.findall(r"^# TYPE (holdfast_\w+)", exposed, re.MULTILINE)}
    named = {re.sub("_(total|bucket)$", "", name) for name in re.findall(r"holdfast_[a-z_]+", page)}
    # prometheus_client adds a `_created` sample to each counter.
    assert named == {name for name in ours if not name.endswith("_created")} | {"holdfast_runs_created"}
