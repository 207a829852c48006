"""Cancelling a run in each of its statuses."""

import asyncio
from typing import Any

import pytest
from openai import BadRequestError
from openai.types.beta.threads import Run

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider

ROME = '{"city": "Rome"}'


async def _failures(holdfast: RunningHoldfast, run: Run) -> list[Any]:
    """Number of failures of the run's first turn so far."""
    timeline: Any = await holdfast.client.get(f"/ops/runs/{run.id}", cast_to=object)
    return [failure for turn in timeline["turns"] for failure in turn["failures"]]


async def _cancel(holdfast: RunningHoldfast, run: Run) -> Run:
    return await holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)


async def test_queued_run_is_cancelled(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await own_holdfast.run(await own_holdfast.assistant("cancel-queued"))

    cancelling = await _cancel(own_holdfast, run)
    await own_holdfast.start_worker()
    cancelled = await own_holdfast.until(run)

    assert (run.status, cancelling.status, cancelling.cancelled_at) == ("queued", "cancelling", None)
    assert cancelled.status == "cancelled"
    assert cancelled.cancelled_at is not None
    assert provider.requests("cancel-queued") == []


@pytest.mark.any_database
async def test_cancel_stops_model_call_and_keeps_partial_answer(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("cancel-in-progress", Hangs(after="Once upon a time"))
    run = await holdfast.run(await holdfast.assistant("cancel-in-progress"))
    await holdfast.until(run, "in_progress")
    await provider.requested("cancel-in-progress")

    await _cancel(holdfast, run)
    await provider.disconnected("cancel-in-progress")
    cancelled = await holdfast.until(run)

    assert cancelled.status == "cancelled"
    [message, _] = (await holdfast.client.beta.threads.messages.list(run.thread_id)).data
    assert message.status == "incomplete"
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_cancelled"
    assert await holdfast.texts(run) == ["Hello", "Once upon a time"]
    [step] = (await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)).data
    assert (step.status, step.cancelled_at is not None) == ("cancelled", True)


async def test_run_waiting_for_outputs_is_cancelled(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cancel-waiting", Calls(("weather", ROME)))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("cancel-waiting", "weather")))

    await _cancel(holdfast, run)
    cancelled = await holdfast.until(run, "cancelled")

    assert cancelled.required_action is None
    assert cancelled.usage is not None
    assert cancelled.usage.total_tokens == 15
    [step] = (await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)).data
    assert step.status == "cancelled"


@pytest.mark.any_database
async def test_run_waiting_for_retry_is_cancelled(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cancel-retrying", Fails(429, "Slow down.", headers={"retry-after": "300"}))
    run = await holdfast.run(await holdfast.assistant("cancel-retrying"))
    async with asyncio.timeout(20):
        while not await _failures(holdfast, run):
            await asyncio.sleep(0.05)

    await _cancel(holdfast, run)

    # Long before its next attempt.
    assert (await holdfast.until(run)).status == "cancelled"


@pytest.mark.any_database
@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled", "incomplete", "expired"])
async def test_ended_run_cannot_be_cancelled(
    holdfast: RunningHoldfast, provider: ScriptedProvider, ending: str
) -> None:
    run = await _ended(holdfast, provider, ending)

    with pytest.raises(BadRequestError, match=rf"Cannot cancel run with status '{ending}'\."):
        await _cancel(holdfast, run)


async def test_second_cancel_is_rejected(own_holdfast: RunningHoldfast) -> None:
    run = await own_holdfast.run(await own_holdfast.assistant("cancel-twice"))
    await _cancel(own_holdfast, run)

    with pytest.raises(BadRequestError, match=r"Cannot cancel run with status 'cancelling'\."):
        await _cancel(own_holdfast, run)


async def _ended(holdfast: RunningHoldfast, provider: ScriptedProvider, ending: str) -> Run:
    model = f"ends-{ending}"
    match ending:
        case "failed":
            provider.script(model, Fails(401))
        case "cancelled" | "expired":
            provider.script(model, Calls(("weather", ROME)))
        case _:
            provider.script(model, Says("Bye.", finish="length" if ending == "incomplete" else "stop"))
    expiry = {"expires_after": {"anchor": "created_at", "seconds": 1}} if ending == "expired" else {}
    run = await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather"), extra_body=expiry))
    if ending == "cancelled":
        await _cancel(holdfast, run)
    return await holdfast.until(run, ending)


@pytest.mark.any_database
async def test_cancel_in_temporal_stops_run_during_answer(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("operator-cancels", Hangs(after="Once upon"))
    run = await holdfast.run(await holdfast.assistant("operator-cancels"))
    await provider.requested("operator-cancels")

    await holdfast.resources.temporal.get_workflow_handle(run.id).cancel()
    await provider.disconnected("operator-cancels")

    assert (await holdfast.until(run)).status == "cancelled"
    assert await holdfast.texts(run) == ["Hello", "Once upon"]


@pytest.mark.any_database
async def test_cancel_in_temporal_stops_waiting_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("operator-cancels-waiting", Calls(("weather", ROME)))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("operator-cancels-waiting", "weather")))

    await holdfast.resources.temporal.get_workflow_handle(run.id).cancel()

    assert (await holdfast.until(run, "cancelled")).required_action is None
