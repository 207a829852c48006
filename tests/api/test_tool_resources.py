"""Tool resources of assistants, threads and runs: vector stores by id, and stores that are created with their owner."""

from typing import Any

import httpx
import pytest

from infra.database.vector_store_tables import VECTOR_STORES
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast
from tests.searched_stores import SEARCH, by_id, is_ingested
from tests.stored_files import store_file

DAY_SECONDS = 86_400
UNKNOWN = "No vector store found with id 'vs_unknown'."


@pytest.fixture
def holdfast(idle_holdfast: RunningHoldfast) -> RunningHoldfast:
    """Without a worker: no file is read and no run begins."""
    return idle_holdfast


@pytest.fixture
def http(idle_http: httpx.AsyncClient) -> httpx.AsyncClient:
    return idle_http


async def new_store(holdfast: RunningHoldfast, **fields: Any) -> str:
    return (await holdfast.client.vector_stores.create(**fields)).id


async def expire(holdfast: RunningHoldfast, store_id: str) -> None:
    changed = VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(expires_at=1)
    await holdfast.resources.database.write(lambda connection: connection.execute(changed))


async def test_assistant_has_its_vector_store(holdfast: RunningHoldfast) -> None:
    first, second = await new_store(holdfast), await new_store(holdfast)
    assistants = holdfast.client.beta.assistants

    created = await assistants.create(model="m", tools=[SEARCH], tool_resources=by_id(first))
    changed = await assistants.update(created.id, tool_resources=by_id(second))
    renamed = await assistants.update(created.id, name="Other")

    assert created.tool_resources
    assert created.tool_resources.to_dict() == by_id(first)
    assert changed.tool_resources
    assert changed.tool_resources.to_dict() == by_id(second)
    assert renamed.tool_resources == changed.tool_resources


async def test_thread_has_its_vector_store(holdfast: RunningHoldfast) -> None:
    first, second = await new_store(holdfast), await new_store(holdfast)
    threads = holdfast.client.beta.threads

    created = await threads.create(tool_resources=by_id(first))
    changed = await threads.update(created.id, tool_resources=by_id(second))
    kept = await threads.update(created.id, metadata={"a": "b"})
    cleared = await threads.update(created.id, tool_resources=None)

    shown = [each.tool_resources and each.tool_resources.to_dict() for each in (created, changed, kept, cleared)]
    assert shown == [by_id(first), by_id(second), by_id(second), {}]


async def test_store_is_created_with_its_assistant(holdfast: RunningHoldfast) -> None:
    file_id = await store_file(holdfast.resources, "Hello.")
    inline: Any = {"file_search": {"vector_stores": [{"file_ids": [file_id], "metadata": {"of": "assistant"}}]}}

    created = await holdfast.client.beta.assistants.create(model="m", tools=[SEARCH], tool_resources=inline)

    assert created.tool_resources
    assert created.tool_resources.file_search
    (store_id,) = created.tool_resources.file_search.vector_store_ids or [""]
    store = await holdfast.client.vector_stores.retrieve(store_id)
    assert (store.file_counts.total, store.metadata, store.expires_after) == (1, {"of": "assistant"}, None)
    assert (await holdfast.client.vector_stores.files.retrieve(file_id, vector_store_id=store_id)).id == file_id
    assert await is_ingested(holdfast, store_id)


@pytest.mark.parametrize("with_run", [False, True])
async def test_store_that_is_created_with_its_thread_expires(holdfast: RunningHoldfast, with_run: bool) -> None:
    file_id = await store_file(holdfast.resources, "Hello.")
    chunking = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}
    inline: Any = {"file_search": {"vector_stores": [{"file_ids": [file_id], "chunking_strategy": chunking}]}}

    if with_run:
        run = await holdfast.run(await holdfast.assistant(SCRIPTED_MODEL), thread={"tool_resources": inline})
        thread = await holdfast.client.beta.threads.retrieve(run.thread_id)
    else:
        thread = await holdfast.client.beta.threads.create(tool_resources=inline)

    assert thread.tool_resources
    assert thread.tool_resources.file_search
    (store_id,) = thread.tool_resources.file_search.vector_store_ids or [""]
    store = await holdfast.client.vector_stores.retrieve(store_id)
    assert (store.expires_at or 0) - (store.last_active_at or 0) == 7 * DAY_SECONDS
    file = await holdfast.client.vector_stores.files.retrieve(file_id, vector_store_id=store_id)
    assert await is_ingested(holdfast, store_id)
    assert file.chunking_strategy
    assert file.chunking_strategy.to_dict() == chunking


async def test_unknown_store_is_rejected(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL)
    thread = await holdfast.client.beta.threads.create()
    named = {"tool_resources": by_id("vs_unknown")}
    with_run = {"assistant_id": assistant, **named}

    for path, body in (
        ("assistants", {"model": "m", **named}),
        (f"assistants/{assistant}", named),
        ("threads", named),
        (f"threads/{thread.id}", named),
        ("threads/runs", with_run),
        ("threads/runs", {"assistant_id": assistant, "thread": named}),
    ):
        assert_error(await http.post(f"/v1/{path}", json=body), 404, UNKNOWN)


async def test_store_of_another_project_is_unknown(own_holdfast: RunningHoldfast) -> None:
    store_id = await new_store(own_holdfast)
    changed = VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(project_id="other")
    await own_holdfast.resources.database.write(lambda connection: connection.execute(changed))

    async with httpx.AsyncClient(base_url=own_holdfast.url, headers={"Authorization": "Bearer any"}) as http:
        response = await http.post("/v1/threads", json={"tool_resources": by_id(store_id)})

    assert_error(response, 404, f"No vector store found with id '{store_id}'.")


async def test_nothing_is_created_for_a_store_without_its_file(
    holdfast: RunningHoldfast, http: httpx.AsyncClient
) -> None:
    inline: Any = {"file_search": {"vector_stores": [{"file_ids": ["file-unknown"]}]}}
    before = (await http.get("/v1/vector_stores", params={"limit": 1})).json()["first_id"]

    response = await http.post("/v1/threads", json={"tool_resources": inline})

    assert_error(response, 404, "No such File object: file-unknown", "id")
    assert (await http.get("/v1/vector_stores", params={"limit": 1})).json()["first_id"] == before


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("search", "message", "param", "code"),
    [
        (
            {"vector_store_ids": ["vs_a"], "vector_stores": [{}]},
            "Invalid 'tool_resources.file_search.vector_stores': give only one of 'vector_store_ids' and "
            "'vector_stores'.",
            "tool_resources.file_search.vector_stores",
            "invalid_value",
        ),
        (
            {"vector_store_ids": ["vs_a", "vs_b"]},
            "Invalid 'tool_resources.file_search.vector_store_ids': array too long. Expected an array with maximum "
            "length 1, but got an array with length 2 instead.",
            "tool_resources.file_search.vector_store_ids",
            "array_above_max_length",
        ),
        (
            {"vector_stores": [{"chunking_strategy": {"type": "auto"}}]},
            "Invalid 'tool_resources.file_search.vector_stores[0].chunking_strategy': it can only be given with "
            "'file_ids'.",
            "tool_resources.file_search.vector_stores[0].chunking_strategy",
            "invalid_value",
        ),
    ],
)
async def test_unusable_stores_are_rejected(
    http: httpx.AsyncClient, search: Any, message: str, param: str, code: str
) -> None:
    response = await http.post("/v1/threads", json={"tool_resources": {"file_search": search}})

    assert_error(response, 400, message, param, code)


@pytest.mark.parametrize("owner", ["assistant", "thread"])
async def test_run_with_an_expired_store_is_rejected(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, owner: str
) -> None:
    store_id = await new_store(holdfast)
    resources = {owner: by_id(store_id)}
    assistant = await holdfast.client.beta.assistants.create(
        model=SCRIPTED_MODEL, tools=[SEARCH], tool_resources=resources.get("assistant", {})
    )
    thread = await holdfast.client.beta.threads.create(tool_resources=resources.get("thread", {}))
    await expire(holdfast, store_id)

    response = await http.post(f"/v1/threads/{thread.id}/runs", json={"assistant_id": assistant.id})
    without_search = await http.post(f"/v1/threads/{thread.id}/runs", json={"assistant_id": assistant.id, "tools": []})

    assert_error(response, 400, f"Vector store {store_id} is expired")
    assert without_search.status_code == 200


async def test_run_takes_its_resources_before_those_of_its_assistant(holdfast: RunningHoldfast) -> None:
    of_assistant, of_run = await new_store(holdfast), await new_store(holdfast)
    assistant = await holdfast.client.beta.assistants.create(
        model=SCRIPTED_MODEL, tools=[SEARCH], tool_resources=by_id(of_assistant)
    )

    default = await holdfast.run(assistant.id)
    overridden = await holdfast.run(assistant.id, tool_resources=by_id(of_run))

    assert default.to_dict()["tool_resources"] == by_id(of_assistant)
    assert overridden.to_dict()["tool_resources"] == by_id(of_run)


@pytest.mark.any_database
async def test_chosen_tool_must_be_given(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    assistant = await holdfast.assistant(SCRIPTED_MODEL, "weather")

    response = await http.post("/v1/threads/runs", json={"assistant_id": assistant, "tool_choice": SEARCH})

    assert_error(
        response,
        400,
        "Invalid value for 'tool_choice': no tool of type file_search was specified in the 'tools' parameter.",
        "tool_choice",
    )
