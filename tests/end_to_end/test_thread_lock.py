"""An active run locks its thread."""

import asyncio

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.beta.threads import Run
from sqlalchemy import func, select

from infra.database.run_tables import RUN_STEPS, RUNS, TOOL_CALLS, TURNS
from infra.database.thread_tables import MESSAGES, THREAD_METADATA, THREADS
from tests.database import reading
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider


async def _waiting(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> Run:
    provider.script(model, Calls(("weather", "{}")))
    return await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")), "requires_action")


async def test_message_is_rejected_while_run_is_active(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "lock-message")

    with pytest.raises(BadRequestError) as refused:
        await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content="More")

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["message"] == f"Can't add messages to {run.thread_id} while a run {run.id} is active."


async def test_second_run_is_rejected_and_its_messages_are_not_stored(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await _waiting(holdfast, provider, "lock-run")

    with pytest.raises(BadRequestError) as refused:
        await holdfast.client.beta.threads.runs.create(
            run.thread_id,
            assistant_id=run.assistant_id,
            additional_messages=[{"role": "user", "content": "More"}],
        )

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["message"] == f"Thread {run.thread_id} already has an active run {run.id}."
    assert await holdfast.texts(run) == ["Hello"]


async def test_one_of_many_concurrent_runs_is_started(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("lock-race", Says("Only once."))
    assistant = await holdfast.assistant("lock-race")
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    start = holdfast.client.beta.threads.runs.create

    answers = await asyncio.gather(
        *(start(thread.id, assistant_id=assistant) for _ in range(8)), return_exceptions=True
    )

    started = [answer for answer in answers if isinstance(answer, Run)]
    # Another run may start once an earlier one has ended.
    assert started
    for run in started:
        await holdfast.until(run)
    assert len(answers) - len(started) == sum(isinstance(answer, BadRequestError) for answer in answers)
    assert len((await holdfast.client.beta.threads.runs.list(thread.id)).data) == len(started)


async def test_reads_and_metadata_updates_are_allowed_while_run_is_active(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await _waiting(holdfast, provider, "lock-reads")
    threads = holdfast.client.beta.threads

    thread = await threads.update(run.thread_id, metadata={"a": "1"})
    changed = await threads.runs.update(run.id, thread_id=run.thread_id, metadata={"b": "2"})

    assert (thread.metadata, changed.metadata, changed.status) == ({"a": "1"}, {"b": "2"}, "requires_action")
    assert await holdfast.texts(run) == ["Hello"]


async def test_deleting_thread_stops_its_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("delete-active", Hangs(after="I was about to"))
    run = await holdfast.run(await holdfast.assistant("delete-active"))
    await provider.requested("delete-active")

    deleted = await holdfast.client.beta.threads.delete(run.thread_id)
    await provider.disconnected("delete-active")

    assert (deleted.id, deleted.object, deleted.deleted) == (run.thread_id, "thread.deleted", True)
    with pytest.raises(NotFoundError):
        await holdfast.client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)


async def test_deleted_thread_leaves_no_rows(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("delete-rows", Calls(("weather", "{}"), text="Let me see."), Says("Sunny."))
    thread = {"messages": [{"role": "user", "content": "Hello"}], "metadata": {"user": "ada"}}
    assistant = await holdfast.assistant("delete-rows", "weather")
    run = await holdfast.until(await holdfast.run(assistant, thread=thread))
    await holdfast.until(await holdfast.submit(run, "sun"), "completed")
    before = _rows(holdfast, run)

    await holdfast.client.beta.threads.delete(run.thread_id)

    assert all(before.values()), before
    assert not any(_rows(holdfast, run).values())


def _rows(holdfast: RunningHoldfast, run: Run) -> dict[str, int]:
    """Number of rows of the run's thread, by table."""
    conditions = {
        THREADS: THREADS.c.id == run.thread_id,
        MESSAGES: MESSAGES.c.thread_id == run.thread_id,
        RUNS: RUNS.c.thread_id == run.thread_id,
        RUN_STEPS: RUN_STEPS.c.run_id == run.id,
        TOOL_CALLS: TOOL_CALLS.c.run_id == run.id,
        TURNS: TURNS.c.run_id == run.id,
    }
    with reading(holdfast.resources.database) as connection:
        orphans = select(func.count()).where(THREAD_METADATA.c.thread_seq.not_in(select(THREADS.c.seq)))
        assert connection.scalar(orphans) == 0
        counts = {table.name: select(func.count()).where(condition) for table, condition in conditions.items()}
        return {name: connection.scalar(count) or 0 for name, count in counts.items()}
