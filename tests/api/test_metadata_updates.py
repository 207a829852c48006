"""An update of metadata merges into the pairs of an object, of every kind of object that has metadata."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast

BEFORE = {"a": "1", "b": "2"}

Change = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(params=["assistant", "thread", "message", "run", "vector_store"])
async def change(request: pytest.FixtureRequest, holdfast: RunningHoldfast, http: httpx.AsyncClient) -> Change:
    """Updates a new object with the metadata `BEFORE`."""
    path = await _created(request.param, holdfast)

    async def update(body: dict[str, Any], prefix: str = "/v1") -> httpx.Response:
        return await http.post(path.replace("/v1", prefix, 1), json=body, headers={"OpenAI-Beta": "assistants=v2"})

    return update


async def _created(noun: str, holdfast: RunningHoldfast) -> str:
    client = holdfast.client.beta
    match noun:
        case "assistant":
            return f"/v1/assistants/{(await client.assistants.create(model=SCRIPTED_MODEL, metadata=BEFORE)).id}"
        case "vector_store":
            return f"/v1/vector_stores/{(await holdfast.client.vector_stores.create(metadata=BEFORE)).id}"
    thread = await client.threads.create(metadata=BEFORE)
    path = f"/v1/threads/{thread.id}"
    match noun:
        case "message":
            message = await client.threads.messages.create(thread.id, role="user", content="Hi", metadata=BEFORE)
            return f"{path}/messages/{message.id}"
        case "run":
            assistant = await client.assistants.create(model=SCRIPTED_MODEL)
            run = await client.threads.runs.create(thread.id, assistant_id=assistant.id, metadata=BEFORE)
            return f"{path}/runs/{run.id}"
    return path


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ({"metadata": {"b": "3", "c": "4"}}, {"a": "1", "b": "3", "c": "4"}),
        ({"metadata": {"a": None, "absent": None}}, {"b": "2"}),
        ({"metadata": {"a": ""}}, {"a": "", "b": "2"}),
        ({"metadata": {}}, BEFORE),
        ({"metadata": None}, {}),
        ({}, BEFORE),
    ],
)
async def test_update_merges_metadata(change: Change, body: dict[str, Any], after: dict[str, str]) -> None:
    updated = (await change(body)).json()

    assert updated["metadata"] == after


@pytest.mark.any_database
@pytest.mark.parametrize("prefix", ["/openai", "/openai/v1", "/api/projects/default"])
async def test_update_merges_metadata_at_azures_addresses(change: Change, prefix: str) -> None:
    merged = await change({"metadata": {"a": None, "c": "3"}}, prefix)
    cleared = await change({"metadata": None}, prefix)

    assert (merged.json()["metadata"], cleared.json()["metadata"]) == ({"b": "2", "c": "3"}, {})


async def test_update_that_leaves_too_many_pairs_is_rejected(change: Change) -> None:
    more = {f"k{number}": "v" for number in range(15)}

    rejected = await change({"metadata": more})
    swapped = await change({"metadata": {**more, "a": None}})

    assert rejected.status_code == 400
    assert rejected.json()["error"] == {
        "message": "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but with "
        "these changes it has 17 properties instead. A key that is set to null is removed.",
        "type": "invalid_request_error",
        "param": "metadata",
        "code": "object_above_max_properties",
    }
    assert swapped.json()["metadata"] == {**more, "b": "2"}


@pytest.mark.any_database
async def test_update_of_thousands_of_pairs_is_rejected(change: Change) -> None:
    rejected = await change({"metadata": {str(number): None for number in range(33)}})

    assert rejected.json()["error"]["code"] == "object_above_max_properties"
    assert "at most 32 properties" in rejected.json()["error"]["message"]
