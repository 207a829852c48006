from typing import Any

import httpx
import pytest

from tests.api.conftest import FinishedRun
from tests.holdfast import RunningHoldfast

TIMES = ("created_at", "cancelled_at", "completed_at", "expired_at", "expires_at", "failed_at")


async def test_steps_have_every_key(http: httpx.AsyncClient, finished: FinishedRun) -> None:
    path = f"/v1/threads/{finished.thread_id}/runs/{finished.run_id}/steps"

    listed = (await http.get(path)).json()

    message_step, call_step = listed["data"]
    for step in (message_step, call_step):
        assert (await http.get(f"{path}/{step['id']}")).json() == step
        assert step.pop("id").startswith("step_")
        assert step.pop("usage")["total_tokens"] > 0
        times = {name: step.pop(name) for name in TIMES}
        assert {name for name, time in times.items() if time is not None} == {"created_at", "completed_at"}
    [call] = call_step.pop("step_details")["tool_calls"]
    assert call.pop("id").startswith("call_")
    assert isinstance(call["function"].pop("arguments"), str)
    assert call == {"type": "function", "function": {"name": "get_weather", "output": "sunny"}}
    assert message_step.pop("step_details") == {
        "type": "message_creation",
        "message_creation": {"message_id": finished.message_id},
    }
    common: dict[str, Any] = {
        "object": "thread.run.step",
        "run_id": finished.run_id,
        "assistant_id": finished.assistant_id,
        "thread_id": finished.thread_id,
        "status": "completed",
        "last_error": None,
        "metadata": {},
    }
    assert message_step == common | {"type": "message_creation"}
    assert call_step == common | {"type": "tool_calls"}


async def test_steps_are_listed_by_cursor(holdfast: RunningHoldfast, finished: FinishedRun) -> None:
    steps = holdfast.client.beta.threads.runs.steps

    first = await steps.list(finished.run_id, thread_id=finished.thread_id, order="asc", limit=1)
    rest = [step async for step in await first.get_next_page()]

    assert [step.type for step in (*first.data, *rest)] == ["tool_calls", "message_creation"]


@pytest.mark.any_database
async def test_include_is_accepted(holdfast: RunningHoldfast, finished: FinishedRun) -> None:
    step = await holdfast.client.beta.threads.runs.steps.retrieve(
        finished.step_id,
        thread_id=finished.thread_id,
        run_id=finished.run_id,
        include=["step_details.tool_calls[*].file_search.results[*].content"],
    )

    assert step.id == finished.step_id
