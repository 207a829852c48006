"""Operators reset failed runs, from the Temporal UI or its command line: the run continues with the failed turn."""

import pytest
from openai.types.beta.threads import Run
from temporalio.client import WorkflowExecutionStatus

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import closed, reset, workflow_tasks

ROME = '{"city": "Rome"}'


async def _failed_after_a_call(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> Run:
    """A run whose second turn failed."""
    provider.script(model, Calls(("weather", ROME)), Fails(401, "No such key."))
    waiting = await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")))
    failed = await holdfast.until(await holdfast.submit(waiting, "sunny"))
    assert failed.status == "failed"
    return failed


@pytest.mark.any_database
async def test_failed_run_is_failed_in_temporal(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("shows-failed", Fails(401, "No such key."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("shows-failed")))

    status = await closed(holdfast.resources.temporal.get_workflow_handle(run.id))

    assert status is WorkflowExecutionStatus.FAILED


@pytest.mark.any_database
@pytest.mark.parametrize("which", ["first", "last", "before the failure"])
async def test_reset_continues_with_failed_turn(
    holdfast: RunningHoldfast, provider: ScriptedProvider, which: str
) -> None:
    model = f"reset-{which.replace(' ', '-')}"
    failed = await _failed_after_a_call(holdfast, provider, model)
    tasks = await workflow_tasks(holdfast, failed)
    provider.script(model, Says("It is sunny."))

    # The last task ends the workflow; the two before it finalize the run and record the failed turn.
    await reset(holdfast, failed, {"first": tasks[0], "last": tasks[-1]}.get(which, tasks[-3]))
    done = await holdfast.until(failed, "completed")

    assert await holdfast.texts(done) == ["Hello", "It is sunny."]
    assert (done.last_error, done.failed_at) == (None, None)
    assert done.usage is not None
    assert done.usage.total_tokens == 30
    # The committed turn is not repeated: one request for it, one that failed, one that succeeded.
    assert len(provider.requests(model)) == 3
    status = await closed(holdfast.resources.temporal.get_workflow_handle(failed.id))
    assert status is WorkflowExecutionStatus.COMPLETED


@pytest.mark.any_database
async def test_reset_run_may_fail_again(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "reset-fails")
    tasks = await workflow_tasks(holdfast, failed)
    provider.script("reset-fails", Fails(403, "Still not."))

    await reset(holdfast, failed, tasks[-1])
    await closed(holdfast.resources.temporal.get_workflow_handle(failed.id))
    again = await holdfast.until(failed, "failed")

    assert again.last_error is not None
    assert "Still not." in again.last_error.message
    assert len(provider.requests("reset-fails")) == 3


async def test_reset_is_rejected_while_another_run_locks_thread(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "reset-locked")
    tasks = await workflow_tasks(holdfast, failed)
    provider.script("holder", Calls(("weather", ROME)))
    holder = await holdfast.client.beta.threads.runs.create(
        failed.thread_id, assistant_id=await holdfast.assistant("holder", "weather")
    )
    await holdfast.until(holder, "requires_action")

    await reset(holdfast, failed, tasks[-1])
    handle = holdfast.resources.temporal.get_workflow_handle(failed.id)
    status = await closed(handle)

    assert status is WorkflowExecutionStatus.FAILED
    assert (await holdfast.until(failed, "failed")).last_error == failed.last_error
    assert (await holdfast.until(holder)).status == "requires_action"


@pytest.mark.slow
@pytest.mark.any_database
async def test_reset_run_continues_on_new_worker(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    await own_holdfast.start_worker()
    failed = await _failed_after_a_call(own_holdfast, provider, "reset-replayed")
    tasks = await workflow_tasks(own_holdfast, failed)
    provider.script("reset-replayed", Calls(("weather", ROME)), Says("It is sunny."))
    await reset(own_holdfast, failed, tasks[-1])
    waiting = await own_holdfast.until(failed, "requires_action")

    await own_holdfast.stop_worker()
    await own_holdfast.submit(waiting, "sunny")
    await own_holdfast.start_worker()

    assert (await own_holdfast.until(failed, "completed")).status == "completed"
