"""Runs of programs that use the first beta (v1) retrieve from the files of their assistant."""

import json
from typing import Any

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast
from tests.stored_files import store_file

V1 = {"OpenAI-Beta": "assistants=v1"}
RETRIEVAL: Any = {"type": "retrieval"}


async def ok(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
async def v1(holdfast: RunningHoldfast) -> Any:
    async with httpx.AsyncClient(base_url=f"{holdfast.url}/v1", headers=V1, timeout=30) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
async def test_run_retrieves(holdfast: RunningHoldfast, v1: httpx.AsyncClient, stream: bool) -> None:
    file_id = await store_file(holdfast.resources, "Paid vacation: 25 days.", "handbook.md")
    body: Any = {"model": SCRIPTED_MODEL, "tools": [RETRIEVAL], "file_ids": [file_id]}
    assistant = await ok(await v1.post("/assistants", json=body))
    in_v2 = await holdfast.client.beta.assistants.retrieve(assistant["id"])
    assert in_v2.tool_resources
    assert in_v2.tool_resources.file_search
    (store_id,) = in_v2.tool_resources.file_search.vector_store_ids or [""]
    await holdfast.client.vector_stores.files.poll(file_id, vector_store_id=store_id)
    body = {
        "assistant_id": assistant["id"],
        "thread": {"messages": [{"role": "user", "content": "vacation"}]},
        "tools": [RETRIEVAL],
        "tool_choice": RETRIEVAL,
        "stream": stream,
    }

    response = await v1.post("/threads/runs", json=body)

    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    run = events[1] if stream else await ok(response)
    assert (run["tools"], run["tool_choice"], run["file_ids"]) == ([RETRIEVAL], RETRIEVAL, [file_id])
    await holdfast.until(
        await holdfast.client.beta.threads.runs.retrieve(run["id"], thread_id=run["thread_id"]), "completed"
    )
    steps = (await ok(await v1.get(f"/threads/{run['thread_id']}/runs/{run['id']}/steps")))["data"]
    (call,) = steps[-1]["step_details"]["tool_calls"]
    assert call == {"id": call["id"], "type": "retrieval", "retrieval": {}}
    if stream:
        deltas = [each["delta"] for each in events if each["object"] == "thread.run.step.delta"]
        assert deltas[0]["step_details"]["tool_calls"] == [{"index": 0, **call}]
        assert events[-1]["file_ids"] == [file_id]
