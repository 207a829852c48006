"""Streamed runs over HTTP, read without any SDK."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx

from infra.event_stream.in_process import InProcessEventStream
from tests.holdfast import RunningHoldfast
from tests.sse import Sent, following, parsed

THREAD: Any = {"messages": [{"role": "user", "content": "Hello"}]}


async def streamed(holdfast: RunningHoldfast, assistant_id: str, **fields: Any) -> list[Sent]:
    """All events of a run that is created with a thread."""
    body = {"assistant_id": assistant_id, "thread": THREAD, "stream": True, **fields}
    async with httpx.AsyncClient(timeout=30) as http:
        return parsed((await http.post(f"{holdfast.url}/v1/threads/runs", json=body)).text)


async def submitted(holdfast: RunningHoldfast, run: Any, output: str) -> list[Sent]:
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = {"tool_outputs": [{"tool_call_id": call["id"], "output": output} for call in calls], "stream": True}
    url = f"{holdfast.url}/v1/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    async with httpx.AsyncClient(timeout=30) as http:
        return parsed((await http.post(url, json=body)).text)


def followed(holdfast: RunningHoldfast, assistant_id: str) -> AbstractAsyncContextManager[AsyncIterator[Sent]]:
    """The events of a run that is created with a thread, as they arrive."""
    body = {"assistant_id": assistant_id, "thread": THREAD, "stream": True}
    return following(f"{holdfast.url}/v1/threads/runs", "POST", body)


def followed_again(holdfast: RunningHoldfast, run: Any) -> AbstractAsyncContextManager[AsyncIterator[Sent]]:
    return following(f"{holdfast.url}/v1/threads/{run['thread_id']}/runs/{run['id']}/events")


def events_url(holdfast: RunningHoldfast, run: Any) -> str:
    return f"{holdfast.url}/v1/threads/{run['thread_id']}/runs/{run['id']}/events"


async def all_events(holdfast: RunningHoldfast, run: Any, query: str = "", **headers: str) -> list[Sent]:
    """Every event of a run that has ended."""
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.get(events_url(holdfast, run) + query, headers=headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return parsed(answer.text)


async def begun(holdfast: RunningHoldfast, assistant_id: str) -> Any:
    """A run that is not streamed."""
    run = await holdfast.client.beta.threads.create_and_run(assistant_id=assistant_id, thread=THREAD)
    return {"id": run.id, "thread_id": run.thread_id}


def forget(holdfast: RunningHoldfast) -> None:
    """Drop the events of all streams, as a restart of the process does."""
    stream = holdfast.resources.event_stream
    assert isinstance(stream, InProcessEventStream)
    stream.forget_all()
