"""`/ops/runs`: searches for runs, and the timeline of one run. Retries are in `tests/end_to_end/test_retry.py`."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run
from sqlalchemy import update

from infra.clock import now_ms, now_seconds
from infra.database.run_tables import RUNS
from tests.api.envelope import assert_error
from tests.database import writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Held, Says
from tests.provider.scripted_provider import ScriptedProvider

HOUR_SECONDS = 3600


async def _ids(http: httpx.AsyncClient, **query: Any) -> list[str]:
    response = await http.get("/ops/runs", params=query)
    assert response.status_code == 200, response.text
    return [run["id"] for run in response.json()["data"]]


async def _timeline(http: httpx.AsyncClient, run: Run) -> dict[str, Any]:
    response = await http.get(f"/ops/runs/{run.id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


def _age(holdfast: RunningHoldfast, run: Run, **columns: int) -> None:
    with writing(holdfast.resources.database) as connection:
        connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(**columns))


async def test_runs_are_filtered_by_status_assistant_thread_and_error(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("ops-found", Fails(401), Says("Hi."), Fails(400))
    assistant = await holdfast.assistant("ops-found")
    refused, completed, invalid = [await holdfast.until(await holdfast.run(assistant)) for _ in range(3)]

    assert await _ids(http, assistant=assistant) == [invalid.id, completed.id, refused.id]
    assert await _ids(http, assistant=assistant, status="completed") == [completed.id]
    assert await _ids(http, thread=refused.thread_id) == [refused.id]
    assert await _ids(http, thread=refused.thread_id, status="completed") == []
    for run in (refused, invalid):
        assert run.last_error is not None
        assert run.id in await _ids(http, assistant=assistant, error=run.last_error.code)
    assert await _ids(http, assistant=assistant, error="rate_limit_exceeded") == []
    assert await _ids(http, assistant=assistant, error="server_error", status="completed") == []
    assert (await http.get("/v1/ops/runs", params={"assistant": assistant, "limit": 1})).json()["data"] != []


async def test_since_compares_failure_time_of_failed_runs_and_creation_time_of_others(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("ops-since", Fails(401), Fails(401), Says("Hi."), Says("Hi."))
    assistant = await holdfast.assistant("ops-since")
    lately, long_ago, new, old = [await holdfast.until(await holdfast.run(assistant)) for _ in range(4)]
    hour_ago = now_seconds() - HOUR_SECONDS
    _age(holdfast, lately, created_at=hour_ago - 60)
    _age(holdfast, long_ago, created_at=hour_ago - 60, failed_at=hour_ago - 1)
    _age(holdfast, old, created_at=hour_ago - 1)

    assert await _ids(http, assistant=assistant, status="failed", since=hour_ago) == [lately.id]
    assert await _ids(http, assistant=assistant, error="server_error", since=hour_ago) == [lately.id]
    assert await _ids(http, assistant=assistant, status="completed", since=hour_ago) == [new.id]
    assert await _ids(http, assistant=assistant, since=hour_ago) == [new.id]


async def test_cursor_may_be_run_that_no_longer_matches_filter(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    """A client that retries page by page lists runs that stop being failed."""
    provider.script("ops-cursor", Fails(401), Fails(401), Fails(401))
    assistant = await holdfast.assistant("ops-cursor")
    runs = [await holdfast.until(await holdfast.run(assistant)) for _ in range(3)]
    query = {"assistant": assistant, "status": "failed", "order": "asc"}
    assert await _ids(http, **query, limit=1) == [runs[0].id]
    provider.script("ops-cursor", Says("Hi."))

    assert (await http.post(f"/ops/runs/{runs[0].id}/retry")).status_code == 200
    await holdfast.until(runs[0], "completed")

    assert await _ids(http, **query, after=runs[0].id) == [runs[1].id, runs[2].id]
    assert await _ids(http, **query, before=runs[2].id) == [runs[1].id]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "lost"), ("error", "bad_luck"), ("since", "-1"), ("since", "1h"), ("assistant", "x"), ("limit", "101")],
)
async def test_filter_out_of_bounds_is_rejected(http: httpx.AsyncClient, name: str, value: str) -> None:
    response = await http.get("/ops/runs", params={name: value})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


async def test_unknown_run_or_cursor_is_not_found(http: httpx.AsyncClient) -> None:
    for response in (
        await http.get("/ops/runs/run_x"),
        await http.get("/ops/runs", params={"after": "run_x"}),
        await http.post("/ops/runs/run_x/cancel"),
    ):
        assert_error(response, 404, "No run found with id 'run_x'.")


@pytest.mark.any_database
async def test_ops_routes_need_no_beta_header(http: httpx.AsyncClient) -> None:
    response = await http.get("/ops/runs", headers={"OpenAI-Beta": "assistants=v7"})

    assert response.status_code == 200


async def test_timeline_has_tokens_calls_and_failed_attempts_of_every_turn(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    secret = "the cat is in the bag"
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    asks = Calls(("weather", json.dumps({"city": secret})), ("time", "{}"), usage=usage)
    provider.script("ops-timeline", Fails(500, "Overloaded."), asks, Fails(401, "No such key."))
    assistant = await holdfast.assistant("ops-timeline", "weather", "time", instructions=secret)
    waiting = await holdfast.until(await holdfast.run(assistant, secret))
    unanswered = await _timeline(http, waiting)
    failed = await holdfast.until(await holdfast.submit(waiting, secret, secret), "failed")

    timeline = await _timeline(http, failed)

    first, second = timeline["turns"]
    assert [call["is_answered"] for call in unanswered["turns"][0]["tool_calls"]] == [False, False]
    assert [(call["name"], call["is_answered"]) for call in first["tool_calls"]] == [("weather", True), ("time", True)]
    assert (first["turn"], first["is_finished"], first["attempts"]) == (0, True, 2)
    assert [failure["attempt"] for failure in first["failures"]] == [1]
    assert "Overloaded." in first["failures"][0]["message"]
    assert first["usage"]["total_tokens"] == 15
    assert first["usage"]["prompt_token_details"] == {"cached_tokens": 4}
    assert first["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert (second["turn"], second["is_finished"], second["attempts"]) == (1, False, 1)
    assert "No such key." in second["failures"][0]["message"]
    assert (timeline["status"], timeline["turn"], timeline["ended_at"]) == ("failed", 1, failed.failed_at)
    assert secret not in json.dumps([unanswered, timeline])


async def test_failed_turn_takes_no_longer_than_its_run(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("ops-duration", *[Fails(401, "No such key.")] * 3)
    assistant = await holdfast.assistant("ops-duration")
    began_ms = now_ms()
    failed = [await holdfast.until(await holdfast.run(assistant), "failed") for _ in range(3)]
    elapsed_ms = now_ms() - began_ms

    turns = [turn for run in failed for turn in (await _timeline(http, run))["turns"]]

    assert len(turns) == 3
    assert sum(turn["duration_ms"] for turn in turns) <= elapsed_ms


async def test_timeline_includes_attempt_in_progress(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    held = Held(Says("Hi."))
    provider.script("ops-pending", Fails(500, "Overloaded."), held)
    run = await holdfast.run(await holdfast.assistant("ops-pending"))
    await held.arrived()

    timeline = await _timeline(http, run)
    held.release()

    [turn] = timeline["turns"]
    assert (timeline["status"], timeline["workflow"]["status"], timeline["ended_at"]) == (
        "in_progress",
        "running",
        None,
    )
    assert (turn["turn"], turn["is_finished"], turn["attempts"]) == (0, False, 2)
    assert [failure["attempt"] for failure in turn["failures"]] == [1]
    await holdfast.until(run, "completed")


async def test_timeline_says_when_the_next_attempt_comes(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("ops-waiting", Fails(429, headers={"retry-after": "60"}))
    before = now_seconds()
    run = await holdfast.run(await holdfast.assistant("ops-waiting"))
    while not (turns := (await _timeline(http, run))["turns"]) or not turns[0]["failures"]:
        await asyncio.sleep(0.02)
    await http.post(f"/ops/runs/{run.id}/cancel")
    await holdfast.until(run, "cancelled")

    [ended] = (await _timeline(http, run))["turns"]

    assert before + 60 <= turns[0]["next_attempt_at"] <= now_seconds() + 60
    assert ended["next_attempt_at"] is None


async def test_run_is_cancelled_by_id(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("ops-cancel", Calls(("weather", "{}")))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("ops-cancel", "weather")))

    cancelled = await http.post(f"/ops/runs/{run.id}/cancel")
    await holdfast.until(run, "cancelled")
    again = await http.post(f"/ops/runs/{run.id}/cancel")

    assert cancelled.json()["status"] in ("cancelling", "cancelled")
    assert_error(again, 400, "Cannot cancel run with status 'cancelled'.")
