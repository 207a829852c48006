"""More runs wait for outputs than the worker's cache has room for: evicted runs continue unchanged."""

import pytest

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider
from workflows import worker

pytestmark = [pytest.mark.any_database, pytest.mark.slow]

CALL = Calls(("weather", "{}"))


async def test_evicted_runs_continue(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_CACHED_WORKFLOWS", 2)
    await own_holdfast.start_worker()
    provider.script("parked", *[CALL] * 6)
    assistant = await own_holdfast.assistant("parked", "weather")
    runs = [await own_holdfast.until(await own_holdfast.run(assistant), "requires_action") for _ in range(6)]

    # The second submit, too, reaches a run that was evicted meanwhile.
    provider.script("parked", *[CALL] * 6)
    again = [await own_holdfast.until(await own_holdfast.submit(run, "sunny"), "requires_action") for run in runs]
    provider.script("parked", *[Says("Thanks.")] * 6)
    done = [await own_holdfast.until(await own_holdfast.submit(run, "rainy"), "completed") for run in again]

    assert [await own_holdfast.texts(run) for run in done] == [["Hello", "Thanks."]] * 6
    assert len(provider.requests("parked")) == 18
    last = provider.requests("parked")[-1]["messages"]
    assert [message["content"] for message in last if message["role"] == "tool"] == ["sunny", "rainy"]


async def test_evicted_runs_are_cancelled_and_expire(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_CACHED_WORKFLOWS", 1)
    await own_holdfast.start_worker()
    provider.script("parked-ending", *[CALL] * 3)
    assistant = await own_holdfast.assistant("parked-ending", "weather")
    soon = {"expires_after": {"anchor": "created_at", "seconds": 3}}
    expiring = await own_holdfast.until(await own_holdfast.run(assistant, extra_body=soon), "requires_action")
    cancelled = await own_holdfast.until(await own_holdfast.run(assistant), "requires_action")
    await own_holdfast.until(await own_holdfast.run(assistant), "requires_action")

    await own_holdfast.client.beta.threads.runs.cancel(cancelled.id, thread_id=cancelled.thread_id)

    assert (await own_holdfast.until(cancelled, "cancelled")).status == "cancelled"
    assert (await own_holdfast.until(expiring, "expired")).status == "expired"
