"""Shared fixtures of the API's tests: an HTTP client, and a completed run with messages, steps and a tool call."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast


@dataclass(frozen=True)
class FinishedRun:
    """Ids of a completed run with a function call, of what belongs to it, and of other objects of the same project.

    The file is in the vector store, by the batch.
    """

    assistant_id: str
    thread_id: str
    run_id: str
    step_id: str
    message_id: str
    file_id: str
    upload_id: str
    vector_store_id: str
    batch_id: str
    crawl_id: str


@pytest.fixture(scope="session")
async def http(holdfast: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=holdfast.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
async def idle_http(idle_holdfast: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=idle_holdfast.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
async def finished(holdfast: RunningHoldfast) -> FinishedRun:
    return await finish_a_run(holdfast)


async def finish_a_run(holdfast: RunningHoldfast) -> FinishedRun:
    assistant_id = await holdfast.assistant(SCRIPTED_MODEL, "get_weather", instructions="Be brief.")
    waiting = await holdfast.until(await holdfast.run(assistant_id))
    run = await holdfast.until(await holdfast.submit(waiting, "sunny"))
    steps = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    messages = await holdfast.client.beta.threads.messages.list(run.thread_id)
    file = await holdfast.client.files.create(file=("a.txt", b"content"), purpose="assistants")
    upload = await holdfast.client.uploads.create(filename="a.txt", purpose="vision", bytes=1, mime_type="text/plain")
    store = await holdfast.client.vector_stores.create(name="Handbook")
    batch = await holdfast.client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[file.id])
    body = {"root_urls": ["http://10.0.0.1/"], "max_depth": 0, "background": True}
    crawl: Any = await holdfast.client.post("/ops/web_retrieval", body=body, cast_to=object)
    assert (run.status, batch.status) == ("completed", "completed")
    return FinishedRun(
        assistant_id=assistant_id,
        thread_id=run.thread_id,
        run_id=run.id,
        step_id=steps.data[0].id,
        message_id=messages.data[0].id,
        file_id=file.id,
        upload_id=upload.id,
        vector_store_id=store.id,
        batch_id=batch.id,
        crawl_id=crawl["crawl_id"],
    )
