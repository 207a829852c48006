"""Validation of submit_tool_outputs, and its effect exactly once in any order of events."""

import asyncio

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.beta.threads import Run

from models.turns import SUBMIT_SIGNAL
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider

ROME, OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'


async def _waiting(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> tuple[Run, list[str]]:
    """A run that waits for two outputs, and the ids of its calls."""
    provider.script(model, Calls(("weather", ROME), ("weather", OSLO)), Says("Thanks."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")))
    assert run.required_action is not None
    return run, [call.id for call in run.required_action.submit_tool_outputs.tool_calls]


async def _refusal(holdfast: RunningHoldfast, run: Run, *call_ids: str) -> str:
    with pytest.raises(BadRequestError) as refused:
        await holdfast.client.beta.threads.runs.submit_tool_outputs(
            run.id,
            thread_id=run.thread_id,
            tool_outputs=[{"tool_call_id": call_id, "output": "x"} for call_id in call_ids],
        )
    body = refused.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["param"], body["code"]) == ("invalid_request_error", None, None)
    return str(body["message"])


async def test_submit_rejects_missing_output_and_can_be_repeated(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run, [rome, oslo] = await _waiting(holdfast, provider, "missing-output")

    message = await _refusal(holdfast, run, rome)

    assert message == f"Expected tool outputs for call_ids ['{rome}', '{oslo}'], got ['{rome}']"
    assert (await holdfast.until(await holdfast.submit(run, "1", "2"))).status == "completed"


@pytest.mark.any_database
async def test_submit_rejects_unknown_call_id(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run, [rome, oslo] = await _waiting(holdfast, provider, "unknown-call")

    message = await _refusal(holdfast, run, rome, oslo, "call_unknown")

    assert (
        message == f"Expected tool outputs for call_ids ['{rome}', '{oslo}'], got ['{rome}', '{oslo}', 'call_unknown']"
    )


@pytest.mark.any_database
async def test_submit_rejects_duplicate_output(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run, [rome, oslo] = await _waiting(holdfast, provider, "twice")

    message = await _refusal(holdfast, run, rome, rome)

    assert message == f"Expected tool outputs for call_ids ['{rome}', '{oslo}'], got ['{rome}', '{rome}']"


@pytest.mark.any_database
async def test_absent_output_counts_as_empty(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run, calls = await _waiting(holdfast, provider, "absent-output")

    await holdfast.client.beta.threads.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": call} for call in calls]
    )
    await holdfast.until(run, "completed")

    assert [m["content"] for m in provider.requests("absent-output")[1]["messages"][-2:]] == ["(no output)"] * 2


@pytest.mark.any_database
async def test_submit_is_rejected_after_end_of_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run, calls = await _waiting(holdfast, provider, "submit-late")
    await holdfast.until(await holdfast.submit(run, "1", "2"), "completed")

    message = await _refusal(holdfast, run, *calls)

    assert message == 'Runs in status "completed" do not accept tool outputs.'


@pytest.mark.any_database
async def test_submit_to_an_unknown_run_is_not_found(holdfast: RunningHoldfast) -> None:
    thread = await holdfast.client.beta.threads.create()

    with pytest.raises(NotFoundError, match="No run found with id 'run_nothing'"):
        await holdfast.client.beta.threads.runs.submit_tool_outputs("run_nothing", thread_id=thread.id, tool_outputs=[])


async def test_one_of_many_concurrent_submits_is_accepted(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run, _ = await _waiting(holdfast, provider, "submit-race")

    answers = await asyncio.gather(
        *(holdfast.submit(run, f"{number}-1", f"{number}-2") for number in range(8)), return_exceptions=True
    )
    done = await holdfast.until(run, "completed")

    taken = [number for number, answer in enumerate(answers) if isinstance(answer, Run)]
    refused = [answer for answer in answers if isinstance(answer, BadRequestError)]
    assert (len(taken), len(refused)) == (1, 7)
    outputs = [message["content"] for message in provider.requests("submit-race")[1]["messages"][-2:]]
    assert outputs == [f"{taken[0]}-1", f"{taken[0]}-2"]
    assert len(provider.requests("submit-race")) == 2
    assert await holdfast.texts(done) == ["Hello", "Thanks."]


@pytest.mark.slow
async def test_submit_without_worker_takes_effect_when_worker_starts(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    await own_holdfast.start_worker()
    run, _ = await _waiting(own_holdfast, provider, "no-worker")
    await own_holdfast.stop_worker()

    queued = await own_holdfast.submit(run, "1", "2")
    await own_holdfast.start_worker()
    done = await own_holdfast.until(run, "completed")

    assert queued.status == "queued"
    assert await own_holdfast.texts(done) == ["Hello", "Thanks."]


@pytest.mark.any_database
async def test_malformed_signals_are_ignored(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run, _ = await _waiting(holdfast, provider, "odd-signals")
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    malformed: list[list[object]] = [[], [None], ["first"], [0, 1]]

    for sent in malformed:
        await handle.signal(SUBMIT_SIGNAL, args=sent)
    await holdfast.submit(run, "1", "2")

    assert (await holdfast.until(run, "completed")).status == "completed"
