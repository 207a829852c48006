"""A thread has at most 100,000 messages. Answers of runs are counted, but are stored even in a full thread."""

import httpx
import pytest
from openai import BadRequestError
from openai.types.beta.threads import Run
from sqlalchemy import func, select, update

from infra.database.thread_tables import MESSAGES, THREADS
from models.threads import MAX_THREAD_MESSAGES
from tests.api.envelope import assert_error
from tests.database import reading, writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

FULL = "A thread holds at most 100000 messages. Delete some, or go on in a new thread."


@pytest.fixture
async def full(holdfast: RunningHoldfast) -> str:
    """A thread whose message count is at the limit."""
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    fill(holdfast, thread.id)
    return thread.id


async def test_full_thread_rejects_message(holdfast: RunningHoldfast, full: str) -> None:
    async with httpx.AsyncClient(base_url=holdfast.url) as http:
        response = await http.post(f"/v1/threads/{full}/messages", json={"role": "user", "content": "More"})

    assert_error(response, 400, FULL)


async def test_run_with_too_many_messages_is_rejected(holdfast: RunningHoldfast, full: str) -> None:
    assistant = await holdfast.assistant("full-additional")
    more = [{"role": "user", "content": "More"}]

    with pytest.raises(BadRequestError, match="at most 100000 messages"):
        await holdfast.client.beta.threads.runs.create(full, assistant_id=assistant, additional_messages=more)  # type: ignore[arg-type]

    assert (await holdfast.client.beta.threads.runs.list(full)).data == []


async def test_answer_is_stored_in_full_thread_and_counted(
    holdfast: RunningHoldfast, provider: ScriptedProvider, full: str
) -> None:
    provider.script("full-answer", Calls(("weather", "{}"), text="Let me look."), Says("It is sunny."))
    assistant = await holdfast.assistant("full-answer", "weather")

    run: Run = await holdfast.client.beta.threads.runs.create(full, assistant_id=assistant)
    done = await holdfast.until(await holdfast.submit(await holdfast.until(run), "sunny"))

    assert done.status == "completed"
    assert counts(holdfast, full) == (MAX_THREAD_MESSAGES + 2, 3)


async def test_partial_answer_is_counted(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("full-cut-short", Hangs(after="Once upon"))
    run = await holdfast.run(await holdfast.assistant("full-cut-short"))
    await provider.requested("full-cut-short")

    await holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await holdfast.until(run, "cancelled")

    assert counts(holdfast, run.thread_id) == (2, 2)


async def test_enqueued_message_is_counted_once(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("full-queue", Calls(("weather", "{}")), Says("It is sunny."))
    waiting = await holdfast.until(await holdfast.run(await holdfast.assistant("full-queue", "weather")))
    say = holdfast.client.beta.threads.messages.create

    await say(waiting.thread_id, role="user", content="Well?", extra_body={"on_active_run": "enqueue"})
    before = counts(holdfast, waiting.thread_id)
    await holdfast.until(await holdfast.submit(waiting, "sunny"), "completed")

    assert (before, counts(holdfast, waiting.thread_id)) == ((2, 2), (3, 3))


def fill(holdfast: RunningHoldfast, thread_id: str) -> None:
    with writing(holdfast.resources.database) as connection:
        query = update(THREADS).where(THREADS.c.id == thread_id)
        connection.execute(query.values(message_count=MAX_THREAD_MESSAGES))


def counts(holdfast: RunningHoldfast, thread_id: str) -> tuple[int, int]:
    """The thread's message count, and the number of its message rows."""
    with reading(holdfast.resources.database) as connection:
        counted = connection.scalar(select(THREADS.c.message_count).where(THREADS.c.id == thread_id))
        there = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.thread_id == thread_id)
        return counted or 0, connection.scalar(there) or 0
