"""Many concurrent clients on one thread: each request succeeds or is rejected, and the thread is free at the end."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.slow

CLIENTS = 8


async def crowd(holdfast: RunningHoldfast, assistant_id: str, thread_id: str) -> None:
    """Run all clients. Raises unexpected errors of any client, such as a 5xx."""
    outcomes = await asyncio.gather(
        *(client(holdfast, assistant_id, thread_id) for _ in range(CLIENTS)), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def client(holdfast: RunningHoldfast, assistant_id: str, thread_id: str) -> None:
    threads = holdfast.client.beta.threads
    said = await allowed(threads.messages.create(thread_id, role="user", content="Hello"))
    run = await allowed(threads.runs.create(thread_id, assistant_id=assistant_id))
    await allowed(threads.update(thread_id, metadata={"changed": "often"}))
    await allowed(threads.messages.create(thread_id, role="user", content="More"))
    if said:
        await allowed(threads.messages.delete(said.id, thread_id=thread_id))
    if run:
        await allowed(threads.runs.cancel(run.id, thread_id=thread_id))


async def allowed(request: Awaitable[Any]) -> Any:
    """The response, or None if the request was rejected."""
    try:
        return await request
    except (BadRequestError, NotFoundError):
        return None


@pytest.mark.parametrize("choice", ["enqueue", "reject"])
async def test_thread_is_free_after_concurrent_clients(holdfast: RunningHoldfast, choice: str) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL)
    threads = holdfast.client.beta.threads
    thread = await threads.create(extra_body={"on_active_run": choice})

    await crowd(holdfast, assistant, thread.id)

    runs = (await threads.runs.list(thread.id, limit=100)).data
    assert runs
    for run in runs:
        assert (await holdfast.until(run)).status in {"completed", "cancelled"}
    last = await threads.messages.create(thread.id, role="user", content="Is it free?")
    assert (await threads.messages.list(thread.id, limit=1)).data[0].id == last.id


async def test_thread_can_be_deleted_during_concurrent_requests(holdfast: RunningHoldfast) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL)
    threads = holdfast.client.beta.threads
    thread = await threads.create(extra_body={"on_active_run": "enqueue"})

    await asyncio.gather(crowd(holdfast, assistant, thread.id), threads.delete(thread.id))

    with pytest.raises(NotFoundError):
        await threads.runs.list(thread.id)
