"""A worker with all slots waiting for models still cancels, expires and sweeps. What waits for files takes no slot."""

from pathlib import Path

import pytest

from tests.conftest import settings_for
from tests.holdfast import running_holdfast
from tests.provider.replies import Calls, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.searched_stores import ingest, searched_thread, searching, store_in_preparation


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


async def test_models_are_asked_while_searches_wait_for_files(
    provider: ScriptedProvider, temporal_port: int, tmp_path: Path
) -> None:
    searches = Calls(*[("file_search", '{"queries": ["late"]}')] * 3)
    provider.script("busy-searching", searches, Says("Found."))
    provider.script("busy-asking", Says("Answered."))
    settings = settings_for(tmp_path, temporal_port, provider, max_concurrent_activities=1)
    async with running_holdfast(settings) as holdfast:
        store_id = await store_in_preparation(holdfast)
        assistant = await searching(holdfast, "busy-searching")
        waiting = await holdfast.run(assistant, thread=searched_thread(store_id))
        await holdfast.until(waiting, "in_progress")
        await provider.requested("busy-searching")

        other = await holdfast.until(await holdfast.run(await holdfast.assistant("busy-asking")))
        assert other.status == "completed"
        assert (await holdfast.until(waiting, "in_progress")).status == "in_progress"

        await ingest(holdfast, store_id)
        assert (await holdfast.until(waiting)).status == "completed"
    outputs = [each["content"] for each in provider.requests("busy-searching")[1]["messages"] if each["role"] == "tool"]
    assert ["Late." in output for output in outputs] == [True] * 3
