"""A worker with all slots waiting for models still cancels, expires and sweeps."""

from pathlib import Path

import pytest

from tests.conftest import settings_for
from tests.holdfast import running_holdfast
from tests.provider.replies import Calls, Hangs
from tests.provider.scripted_provider import ScriptedProvider


@pytest.mark.slow
async def test_waiting_run_is_cancelled_while_all_slots_are_taken(
    provider: ScriptedProvider, temporal_port: int, tmp_path: Path
) -> None:
    provider.script("busy-waiting", Calls(("weather", "{}")))
    provider.script("busy-hanging", Hangs())
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update={"max_concurrent_activities": 1})
    async with running_holdfast(settings) as holdfast:
        waiting = await holdfast.until(await holdfast.run(await holdfast.assistant("busy-waiting", "weather")))
        await holdfast.run(await holdfast.assistant("busy-hanging"))
        await provider.requested("busy-hanging")

        await holdfast.client.beta.threads.runs.cancel(waiting.id, thread_id=waiting.thread_id)

        assert (await holdfast.until(waiting, "cancelled")).status == "cancelled"
