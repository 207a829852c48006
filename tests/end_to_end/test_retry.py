"""Operators retry failed runs through `/ops`: a run continues with the failed turn, even if its workflow is gone."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run
from sqlalchemy import update
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from infra.clock import now_ms, now_seconds
from infra.database import run_finalization, run_retries
from infra.database.run_tables import RUNS
from models.finalization import Finalization
from models.runs import LastErrorCode, RunStatus
from tests.api.envelope import assert_error
from tests.conftest import settings_for, temporal_program
from tests.database import writing
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Fails, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import closed, reset, workflow_tasks
from tests.sweeps import sweep_now

ROME = '{"city": "Rome"}'
CALLS_CLOSED = (
    "Cannot retry run that failed while it waited for tool outputs: its calls were closed with it. Create a new run."
)
LOCKED = "Cannot retry run while another run is active on its thread: wait for that or cancel it."


async def _failed_after_a_call(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> Run:
    """A run whose second turn failed."""
    provider.script(model, Calls(("weather", ROME)), Fails(401, "No such key."))
    waiting = await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")))
    failed = await holdfast.until(await holdfast.submit(waiting, "sunny"))
    assert failed.status == "failed"
    return failed


async def _post(holdfast: RunningHoldfast, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=holdfast.url, timeout=30) as http:
        return await http.post(f"/ops/runs/{path}", **options)


async def _retry(holdfast: RunningHoldfast, run: Run, **body: str) -> dict[str, Any]:
    response = await _post(holdfast, f"{run.id}/retry", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def _timeline(holdfast: RunningHoldfast, run: Run) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=holdfast.url, timeout=30) as http:
        return dict((await http.get(f"/ops/runs/{run.id}")).json())


async def _sweep(holdfast: RunningHoldfast, run: Run) -> None:
    """Age the run's row by a minute, then sweep."""
    with writing(holdfast.resources.database) as connection:
        aged = update(RUNS).where(RUNS.c.id == run.id).values(status_changed_at=now_ms() - 60_000)
        connection.execute(aged)
    await sweep_now(holdfast)


async def test_retry_continues_with_failed_turn(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "retry")
    provider.script("retry", Says("It is sunny."))

    answer = await _retry(holdfast, failed, by="ada@laptop")
    done = await holdfast.until(failed, "completed")

    assert (answer["status"], answer["last_error"], answer["retries"]) == ("queued", None, 1)
    assert await holdfast.texts(done) == ["Hello", "It is sunny."]
    assert (done.last_error, done.failed_at) == (None, None)
    assert done.usage is not None
    assert done.usage.total_tokens == 30
    # The committed turn is not repeated: one request for it, one that failed, one that succeeded.
    assert len(provider.requests("retry")) == 3
    handle = holdfast.resources.temporal.get_workflow_handle(failed.id)
    assert await closed(handle) is WorkflowExecutionStatus.COMPLETED
    # A reset to the task that scheduled the failed turn.
    history = (await handle.fetch_history()).to_json()
    assert "Retried with Holdfast by ada@laptop" in history
    assert history.count("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED") == 2


async def test_retry_records_operator_time_and_error(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "retry-record")
    provider.script("retry-record", Fails(403, "Still not."), Says("Now."))
    began = now_seconds()

    await _retry(holdfast, failed, by="ada@laptop")
    await holdfast.until(failed, "failed")
    await _retry(holdfast, failed)
    await holdfast.until(failed, "completed")
    timeline = await _timeline(holdfast, failed)

    first, second = timeline["retry_history"]
    assert (first["number"], first["by"], first["turn"]) == (1, "ada@laptop", 1)
    assert (second["number"], second["by"], second["turn"]) == (2, "project default", 1)
    assert began <= first["at"] <= second["at"] <= now_seconds()
    assert first["failed_at"] == failed.failed_at
    assert "No such key." in first["error"]["message"]
    assert "Still not." in second["error"]["message"]
    assert (timeline["retries"], timeline["retried_by"], timeline["retried_at"]) == (2, "project default", second["at"])


@pytest.mark.any_database
async def test_reset_in_temporal_is_recorded_with_reason(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    for which in (0, -1):
        failed = await _failed_after_a_call(holdfast, provider, f"reset-record{which}")
        provider.script(f"reset-record{which}", Says("It is sunny."))

        await reset(holdfast, failed, (await workflow_tasks(holdfast, failed))[which])
        await holdfast.until(failed, "completed")
        [recorded] = (await _timeline(holdfast, failed))["retry_history"]

        assert (recorded["by"], recorded["turn"]) == ("reset in Temporal: test", 1)
        assert "No such key." in recorded["error"]["message"]


async def test_one_of_two_concurrent_retries_is_rejected(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "retry-twice")
    provider.script("retry-twice", Says("Once."), Says("Twice."))

    responses = await asyncio.gather(*(_post(holdfast, f"{failed.id}/retry") for _ in range(2)))
    await holdfast.until(failed, "completed")
    third = await _post(holdfast, f"{failed.id}/retry")

    assert sorted(response.status_code for response in responses) == [200, 400]
    assert_error(third, 400, "Cannot retry run with status 'completed': only a failed run can be retried.")
    assert len(provider.requests("retry-twice")) == 3
    assert (await _timeline(holdfast, failed))["retries"] == 1


async def test_repeated_retry_with_idempotency_key_has_no_effect(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "retry-key")
    provider.script("retry-key", Says("Once."), Says("Twice."))
    headers = {"Idempotency-Key": failed.id}

    responses = [await _post(holdfast, f"{failed.id}/retry", headers=headers) for _ in range(2)]
    await holdfast.until(failed, "completed")

    assert [response.status_code for response in responses] == [200, 200]
    assert (await _timeline(holdfast, failed))["retries"] == 1


async def test_retry_is_rejected_while_another_run_locks_thread(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    failed = await _failed_after_a_call(holdfast, provider, "retry-locked")
    provider.script("retry-holder", Calls(("weather", ROME)))
    holder = await holdfast.client.beta.threads.runs.create(
        failed.thread_id, assistant_id=await holdfast.assistant("retry-holder", "weather")
    )
    await holdfast.until(holder, "requires_action")

    response = await _post(holdfast, f"{failed.id}/retry")

    assert_error(response, 400, LOCKED)
    assert (await holdfast.until(failed, "failed")).last_error == failed.last_error
    assert (await _timeline(holdfast, failed))["retry_history"] == []


async def test_retried_run_locks_its_thread_at_once(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    await own_holdfast.start_worker()
    failed = await _failed_after_a_call(own_holdfast, provider, "retry-holds")
    await own_holdfast.stop_worker()

    await _retry(own_holdfast, failed)
    async with httpx.AsyncClient(base_url=own_holdfast.url) as http:
        body = {"assistant_id": failed.assistant_id}
        refused = await http.post(f"/v1/threads/{failed.thread_id}/runs", json=body)

    assert_error(refused, 400, f"Thread {failed.thread_id} already has an active run {failed.id}.")


@pytest.mark.any_database
async def test_unknown_run_is_not_found(holdfast: RunningHoldfast) -> None:
    response = await _post(holdfast, "run_unknown/retry")

    assert_error(response, 404, "No run found with id 'run_unknown'.")


@pytest.mark.any_database
@pytest.mark.parametrize("by", ["", "x" * 257, 7])
async def test_operator_name_out_of_bounds_is_rejected(holdfast: RunningHoldfast, by: object) -> None:
    response = await _post(holdfast, "run_unknown/retry", json={"by": by})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "by"


@pytest.mark.any_database
async def test_retry_without_workflow_starts_new_one_and_repeats_no_turn(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    """The workflow is missing, as after Temporal's retention or a replaced Temporal database."""
    settings = settings_for(tmp_path, temporal_port, provider)
    async with running_holdfast(settings) as before:
        failed = await _failed_after_a_call(before, provider, "retry-gone")
    provider.script("retry-gone", Says("It is sunny."))

    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(), dev_server_log_level="error"
    ) as other:
        port = int(other.client.service_client.config.target_host.rpartition(":")[2])
        async with running_holdfast(settings.model_copy(update={"temporal_port": port})) as after:
            shown = (await _timeline(after, failed))["workflow"]
            await _retry(after, failed)
            done = await after.until(failed, "completed")
            texts = await after.texts(done)

    assert shown == {"status": "not_found", "execution": None}
    assert texts == ["Hello", "It is sunny."]
    assert len(provider.requests("retry-gone")) == 3


@pytest.mark.any_database
async def test_retry_restarts_workflow_terminated_before_its_first_task(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await own_holdfast.run(await own_holdfast.assistant("retry-terminated"))
    await own_holdfast.resources.temporal.get_workflow_handle(run.id).terminate()
    await own_holdfast.start_worker()
    await _sweep(own_holdfast, run)
    await own_holdfast.until(run, "failed")
    provider.script("retry-terminated", Says("Here I am."))

    await _retry(own_holdfast, run)

    assert (await own_holdfast.until(run)).status == "completed"


@pytest.mark.any_database
async def test_retry_receives_outputs_that_terminated_workflow_missed(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("retry-outputs", Calls(("weather", ROME)), Says("It is sunny."))
    await own_holdfast.start_worker()
    assistant = await own_holdfast.assistant("retry-outputs", "weather")
    waiting = await own_holdfast.until(await own_holdfast.run(assistant))
    await own_holdfast.resources.temporal.get_workflow_handle(waiting.id).terminate()
    await own_holdfast.submit(waiting, "sunny")
    await _sweep(own_holdfast, waiting)
    await own_holdfast.until(waiting, "failed")

    await _retry(own_holdfast, waiting)
    done = await own_holdfast.until(waiting, "completed")

    assert await own_holdfast.texts(done) == ["Hello", "It is sunny."]
    assert len(provider.requests("retry-outputs")) == 2


@pytest.mark.any_database
async def test_run_that_failed_while_waiting_for_outputs_cannot_be_retried(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("retry-parked", Calls(("weather", ROME)), Says("Another run."))
    await own_holdfast.start_worker()
    waiting = await own_holdfast.until(await own_holdfast.run(await own_holdfast.assistant("retry-parked", "weather")))
    await own_holdfast.resources.temporal.get_workflow_handle(waiting.id).terminate()
    await _sweep(own_holdfast, waiting)
    await own_holdfast.until(waiting, "failed")

    assert_error(await _post(own_holdfast, f"{waiting.id}/retry"), 400, CALLS_CLOSED)
    await reset(own_holdfast, waiting, (await workflow_tasks(own_holdfast, waiting))[0])

    handle = own_holdfast.resources.temporal.get_workflow_handle(waiting.id)
    assert await closed(handle) is WorkflowExecutionStatus.FAILED
    await own_holdfast.until(waiting, "failed")
    runs = own_holdfast.client.beta.threads.runs
    following = await runs.create(waiting.thread_id, assistant_id=waiting.assistant_id)
    assert (await own_holdfast.until(following)).status == "completed"


async def test_sweep_repeats_lost_retry(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    await own_holdfast.start_worker()
    failed = await _failed_after_a_call(own_holdfast, provider, "retry-lost")
    provider.script("retry-lost", Says("It is sunny."))
    with writing(own_holdfast.resources.database) as connection:
        run_retries.request(connection, "default", failed.id, "ada@laptop")

    await _sweep(own_holdfast, failed)

    assert (await own_holdfast.until(failed, "completed")).status == "completed"
    assert len(provider.requests("retry-lost")) == 3


@pytest.mark.any_database
async def test_sweep_does_not_repeat_retry_that_waits_for_worker(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    await own_holdfast.start_worker()
    failed = await _failed_after_a_call(own_holdfast, provider, "retry-waits")
    await own_holdfast.stop_worker()
    provider.script("retry-waits", Held(Says("Never.")))
    await _retry(own_holdfast, failed)
    handle = own_holdfast.resources.temporal.get_workflow_handle(failed.id)
    execution = (await handle.describe()).run_id

    await own_holdfast.start_worker()
    await _sweep(own_holdfast, failed)
    await provider.requested("retry-waits")

    assert (await handle.describe()).run_id == execution


@pytest.mark.any_database
async def test_late_finalization_of_superseded_execution_does_not_end_retried_run(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    await own_holdfast.start_worker()
    failed = await _failed_after_a_call(own_holdfast, provider, "retry-late")
    execution = (await own_holdfast.resources.temporal.get_workflow_handle(failed.id).describe()).run_id
    await own_holdfast.stop_worker()
    await _retry(own_holdfast, failed)

    late = Finalization(failed.id, RunStatus.FAILED, LastErrorCode.SERVER_ERROR, "Late.", by=execution)
    with writing(own_holdfast.resources.database) as connection:
        finalized = run_finalization.finalize(connection, late)

    assert finalized.state.status is RunStatus.QUEUED


@pytest.mark.any_database
async def test_retried_turn_has_full_lifetime(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    """The deadline in the history is near or past; the row has a new one."""
    await own_holdfast.start_worker()
    slow = Held(Says("At last."))
    provider.script("retry-deadline", Fails(401), slow)
    expiry = {"expires_after": {"anchor": "created_at", "seconds": 30}}
    run = await own_holdfast.run(await own_holdfast.assistant("retry-deadline"), extra_body=expiry)
    failed = await own_holdfast.until(run, "failed")

    await _retry(own_holdfast, failed)
    await slow.arrived()
    described = await own_holdfast.resources.temporal.get_workflow_handle(run.id).describe()
    retried = await own_holdfast.until(failed, "in_progress")
    [turn] = described.raw_description.pending_activities
    slow.release()

    assert retried.expires_at is not None
    assert turn.expiration_time.seconds >= retried.expires_at
    assert (await own_holdfast.until(failed, "completed")).status == "completed"


@pytest.mark.slow
async def test_retry_is_accepted_while_temporal_is_down(provider: ScriptedProvider, tmp_path: Path) -> None:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(), dev_server_log_level="error"
    ) as temporal:
        port = int(temporal.client.service_client.config.target_host.rpartition(":")[2])
        async with running_holdfast(settings_for(tmp_path, port, provider)) as holdfast:
            failed = await _failed_after_a_call(holdfast, provider, "retry-silence")
            await holdfast.stop_worker()
            await temporal.shutdown()

            accepted = await _retry(holdfast, failed)
            shown = (await _timeline(holdfast, failed))["workflow"]

    assert accepted["status"] == "queued"
    assert shown == {"status": "unreachable", "execution": None}
