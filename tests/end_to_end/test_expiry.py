"""Runs that outlive their deadline, which counts from their creation."""

from pathlib import Path

import pytest

from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Hangs
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

SECONDS = 3
SOON = {"expires_after": {"anchor": "created_at", "seconds": SECONDS}}


async def test_default_deadline_is_ten_minutes_after_creation(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("ten-minutes", Hangs())

    run = await holdfast.run(await holdfast.assistant("ten-minutes"))

    assert run.expires_at == run.created_at + 600
    await holdfast.client.beta.threads.delete(run.thread_id)


async def test_run_waiting_for_outputs_expires(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("expires-waiting", Calls(("weather", '{"city": "Rome"}')))
    run = await holdfast.run(await holdfast.assistant("expires-waiting", "weather"), extra_body=SOON)

    waiting = await holdfast.until(run, "requires_action")
    expired = await holdfast.until(run, "expired")

    assert expired.expires_at == waiting.expires_at == run.created_at + SECONDS
    assert expired.required_action is None
    [step] = (await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)).data
    assert (step.status, step.expired_at is not None) == ("expired", True)
    await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content="The thread is free.")


async def test_expiry_stops_model_and_keeps_partial_answer(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("expires-speaking", Hangs(after="Well, you see"))
    run = await holdfast.run(await holdfast.assistant("expires-speaking"), extra_body=SOON)

    await provider.disconnected("expires-speaking")
    await holdfast.until(run, "expired")

    [message, _] = (await holdfast.client.beta.threads.messages.list(run.thread_id)).data
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_expired"
    assert await holdfast.texts(run) == ["Hello", "Well, you see"]


async def test_setting_changes_default_deadline(provider: ScriptedProvider, temporal_port: int, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update={"run_expiry_seconds": 77})

    async with running_holdfast(settings, with_worker=False) as holdfast:
        run = await holdfast.run(await holdfast.assistant("setting"))

    assert run.expires_at == run.created_at + 77
