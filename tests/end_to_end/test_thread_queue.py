"""Threads on which messages and runs are enqueued behind the active run instead of being rejected."""

import pytest
from openai import BadRequestError
from openai.types.beta.threads import Run
from sqlalchemy import update

from infra.clock import now_seconds
from infra.database.run_tables import RUNS
from infra.database.thread_queue import MAX_WAITING_MESSAGES, MAX_WAITING_RUNS
from tests.database import writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sweeps import sweep_now

ENQUEUE = {"on_active_run": "enqueue"}
REJECT = {"on_active_run": "reject"}


async def _waiting(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, *then: Says | Fails) -> Run:
    """A run that waits for one output, on a thread that enqueues; `then` is the model's next answer."""
    provider.script(model, Calls(("weather", "{}")), *then)
    run = await holdfast.run(await holdfast.assistant(model, "weather"))
    await holdfast.client.beta.threads.update(run.thread_id, extra_body=ENQUEUE)
    return await holdfast.until(run, "requires_action")


async def _say(holdfast: RunningHoldfast, run: Run, content: str) -> None:
    await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content=content)


async def _next_run(holdfast: RunningHoldfast, run: Run, **fields: object) -> Run:
    created: Run = await holdfast.client.beta.threads.runs.create(  # type: ignore[call-overload]
        run.thread_id, assistant_id=run.assistant_id, **fields
    )
    return created


async def test_enqueued_message_follows_answer(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-message", Says("Sunny."))

    await _say(holdfast, run, "And tomorrow?")
    before = await holdfast.texts(run)
    await holdfast.until(await holdfast.submit(run, "sun"), "completed")

    assert before == ["Hello", "And tomorrow?"]
    assert await holdfast.texts(run) == ["Hello", "Sunny.", "And tomorrow?"]
    assert "And tomorrow?" not in str(provider.requests("queue-message"))
    listed = await holdfast.client.beta.threads.messages.list(run.thread_id, order="asc")
    times = [message.created_at for message in listed.data]
    assert times == sorted(times)


async def test_enqueued_runs_see_earlier_messages(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-runs", Says("One."), Says("Two."), Says("Three."))

    await _say(holdfast, run, "Second?")
    second = await _next_run(holdfast, run)
    third = await _next_run(holdfast, run, additional_messages=[{"role": "user", "content": "Third?"}])
    await _say(holdfast, run, "Last?")
    statuses = (second.status, third.status)
    await holdfast.submit(run, "sun")
    await holdfast.until(third, "completed")

    assert statuses == ("queued", "queued")
    assert await holdfast.texts(run) == ["Hello", "One.", "Second?", "Two.", "Third?", "Three.", "Last?"]
    prompts = [
        [message.get("content") for message in request["messages"]] for request in provider.requests("queue-runs")
    ]
    assert prompts[2] == ["Hello", "One.", "Second?"]
    assert prompts[3] == ["Hello", "One.", "Second?", "Two.", "Third?"]
    assert (await holdfast.until(second)).status == "completed"


@pytest.mark.parametrize("ending", ["failed", "cancelled", "expired"])
async def test_next_run_starts_after_every_terminal_status(
    holdfast: RunningHoldfast, provider: ScriptedProvider, ending: str
) -> None:
    model = f"queue-{ending}"
    last = Fails(401) if ending == "failed" else Says("Unused.")
    provider.script(model, Calls(("weather", "{}")))
    expiry = {"expires_after": {"anchor": "created_at", "seconds": 4}} if ending == "expired" else {}
    run = await holdfast.run(await holdfast.assistant(model, "weather"), extra_body=expiry)
    await holdfast.until(run, "requires_action")
    other = await holdfast.assistant(f"{model}-next")
    provider.script(f"{model}-next", Says("Mine."))
    waiting = await holdfast.client.beta.threads.runs.create(run.thread_id, assistant_id=other, extra_body=ENQUEUE)

    if ending == "failed":
        provider.script(model, last)
        await holdfast.submit(await holdfast.until(run), "sun")
    elif ending == "cancelled":
        await holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)

    await holdfast.until(run, ending)
    await holdfast.until(waiting, "completed")
    assert (await holdfast.texts(run))[-1] == "Mine."


@pytest.mark.any_database
async def test_default_and_choice_of_request_reject(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-reject")

    with pytest.raises(BadRequestError, match="already has an active run"):
        await _next_run(holdfast, run, extra_body=REJECT)
    with pytest.raises(BadRequestError, match="Can't add messages"):
        await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content="No", extra_body=REJECT)
    await holdfast.client.beta.threads.update(run.thread_id, extra_body={"on_active_run": None})
    with pytest.raises(BadRequestError, match="Can't add messages"):
        await _say(holdfast, run, "No")


@pytest.mark.any_database
async def test_threads_choice_is_returned_and_kept(holdfast: RunningHoldfast) -> None:
    threads = holdfast.client.beta.threads
    thread = await threads.create(extra_body=ENQUEUE)

    renamed = await threads.update(thread.id, metadata={"a": "1"})

    assert thread.to_dict()["on_active_run"] == renamed.to_dict()["on_active_run"] == "enqueue"
    assert "on_active_run" not in (await threads.create()).to_dict()


async def test_enqueued_run_is_cancelled_at_once(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-cancel", Says("Done."))
    waiting = await _next_run(holdfast, run)

    cancelled = await holdfast.client.beta.threads.runs.cancel(waiting.id, thread_id=run.thread_id)
    await holdfast.until(await holdfast.submit(run, "sun"), "completed")

    assert (cancelled.status, cancelled.cancelled_at is not None) == ("cancelled", True)
    assert await holdfast.texts(run) == ["Hello", "Done."]
    assert len(provider.requests("queue-cancel")) == 2


async def test_enqueued_run_expires(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    await own_holdfast.start_worker()
    run = await _waiting(own_holdfast, provider, "queue-expire", Says("Done."))
    waiting = await _next_run(own_holdfast, run)
    with writing(own_holdfast.resources.database) as connection:
        past = now_seconds() - 60
        connection.execute(update(RUNS).where(RUNS.c.id == waiting.id).values(expires_at=past))

    await sweep_now(own_holdfast)

    await own_holdfast.until(waiting, "expired")
    await own_holdfast.until(await own_holdfast.submit(run, "sun"), "completed")
    assert len(provider.requests("queue-expire")) == 2


async def test_deleting_thread_ends_enqueued_runs(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-delete")
    await _next_run(holdfast, run)
    await _say(holdfast, run, "Still there?")

    await holdfast.client.beta.threads.delete(run.thread_id)

    assert run.thread_id not in str(await holdfast.client.get("/runs?limit=100", cast_to=object))
    assert len(provider.requests("queue-delete")) == 1


async def test_repeated_request_is_enqueued_once(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-once", Says("One."), Says("Two."))
    key = {"Idempotency-Key": run.id}

    first = await _next_run(holdfast, run, extra_headers=key)
    again = await _next_run(holdfast, run, extra_headers=key)
    await holdfast.submit(run, "sun")
    await holdfast.until(first, "completed")

    assert again == first
    assert await holdfast.texts(run) == ["Hello", "One.", "Two."]


async def test_number_of_enqueued_runs_is_limited(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-full")
    for _ in range(MAX_WAITING_RUNS):
        await _next_run(holdfast, run)

    with pytest.raises(BadRequestError, match=f"At most {MAX_WAITING_RUNS} runs may wait"):
        await _next_run(holdfast, run)
    await _say(holdfast, run, "There is room for me.")
    await holdfast.client.beta.threads.delete(run.thread_id)


async def test_number_of_enqueued_messages_is_limited(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _waiting(holdfast, provider, "queue-messages-full")
    await _say(holdfast, run, "First")
    too_many = [{"role": "user", "content": "One more"}] * MAX_WAITING_MESSAGES

    with pytest.raises(BadRequestError, match=f"At most {MAX_WAITING_MESSAGES} messages may wait"):
        await _next_run(holdfast, run, additional_messages=too_many)
    await _next_run(holdfast, run, additional_messages=too_many[1:])
    with pytest.raises(BadRequestError, match=f"At most {MAX_WAITING_MESSAGES} messages may wait"):
        await _say(holdfast, run, "Last")
    await holdfast.client.beta.threads.delete(run.thread_id)
