"""The number of calls in one answer of the model is bounded: a longer answer is asked for once more, then fails."""

import json

import pytest
from openai.types.beta.threads import Run

from activities.model_turn import TOO_MANY_CALLS
from models.tool_calls import MAX_CALLS
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, InOnePiece, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.searched_stores import searching

pytestmark = pytest.mark.any_database

WEATHER = ("weather", '{"city": "Rome"}')
WRAPPED = ("multi_tool_use.parallel", json.dumps({"tool_uses": [{"recipient_name": "weather"}] * (MAX_CALLS + 1)}))
SEARCH = ("file_search", '{"queries": ["vacation"]}')
TOO_MANY = InOnePiece(Calls(*[WEATHER] * (MAX_CALLS + 1)))


async def _run(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, *replies: Reply) -> Run:
    provider.script(model, *replies)
    return await holdfast.until(await holdfast.run(await searching(holdfast, model, None, "weather")))


async def test_as_many_calls_as_allowed_are_required(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    calls = InOnePiece(Calls(*[WEATHER] * (MAX_CALLS - 1), SEARCH))
    waiting = await _run(holdfast, provider, "most-calls", calls, Says("Sunny."))
    assert waiting.required_action is not None
    assert len(waiting.required_action.submit_tool_outputs.tool_calls) == MAX_CALLS - 1

    run = await holdfast.until(await holdfast.submit(waiting, *["sunny"] * (MAX_CALLS - 1)))

    assert run.status == "completed"


@pytest.mark.parametrize("calls", [[SEARCH] * (MAX_CALLS + 1), [WEATHER] * 2_100, [WRAPPED]])
async def test_answer_with_too_many_calls_is_asked_for_again(
    holdfast: RunningHoldfast, provider: ScriptedProvider, calls: list[tuple[str, str]]
) -> None:
    model = f"too-many-{len(calls)}-{calls[0][0]}"

    run = await _run(holdfast, provider, model, InOnePiece(Calls(*calls)), Says("Sunny."))

    assert run.status == "completed"
    assert (await holdfast.texts(run))[-1] == "Sunny."
    steps = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    assert [step.type for step in steps.data] == ["message_creation"]


async def test_run_fails_if_the_second_answer_has_too_many_calls_as_well(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await _run(holdfast, provider, "too-many-twice", TOO_MANY, TOO_MANY, Says("Never asked."))

    assert run.status == "failed"
    assert run.last_error is not None
    assert (run.last_error.code, run.last_error.message) == ("server_error", TOO_MANY_CALLS)
    assert len(provider.requests("too-many-twice")) == 2
    await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content="The thread is free.")


async def test_answer_that_the_provider_aborted_does_not_count_as_one_with_too_many_calls(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    aborted = Fails(400, "unread", "tool_use_failed", "invalid_request_error")

    run = await _run(holdfast, provider, "aborted-then-too-many", aborted, TOO_MANY, Says("Sunny."))

    assert run.status == "completed"
    assert (await holdfast.texts(run))[-1] == "Sunny."
