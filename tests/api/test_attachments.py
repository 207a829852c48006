"""Files that messages attach: they join the thread's vector store and code interpreter with the message."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from openai.types.beta import Thread

from infra.database.file_tables import FILES
from infra.database.vector_store_tables import VECTOR_STORES
from infra.language_model.scripted import SCRIPTED_MODEL
from models.vector_stores import ChunkSizes
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast
from tests.searched_stores import SEARCH, by_id, fill, is_ingested
from tests.stored_files import store_file

DAY_SECONDS = 86_400
INTERPRETER: Any = {"type": "code_interpreter"}
UNKNOWN = ("No such File object: file-unknown", "id")


@pytest.fixture
def holdfast(idle_holdfast: RunningHoldfast) -> RunningHoldfast:
    """Without a worker: files are attached before they are read."""
    return idle_holdfast


@pytest.fixture
def http(idle_http: httpx.AsyncClient) -> httpx.AsyncClient:
    return idle_http


def attached(file_id: str, *tools: Any) -> Any:
    return {"file_id": file_id, "tools": list(tools or [SEARCH])}


def message(*attachments: Any) -> Any:
    return {"role": "user", "content": "See the file.", "attachments": list(attachments)}


def store_of(thread: Thread) -> str:
    assert thread.tool_resources
    assert thread.tool_resources.file_search
    (store_id,) = thread.tool_resources.file_search.vector_store_ids or [""]
    return store_id


def interpreter_files(thread: Thread) -> list[str]:
    interpreter = thread.tool_resources and thread.tool_resources.code_interpreter
    return (interpreter and interpreter.file_ids) or []


async def files_of(holdfast: RunningHoldfast, store_id: str) -> set[str]:
    return {file.id async for file in holdfast.client.vector_stores.files.list(store_id)}


async def on_new_thread(holdfast: RunningHoldfast, attachment: Any) -> str:
    return (await holdfast.client.beta.threads.create(messages=[message(attachment)])).id


async def on_thread(holdfast: RunningHoldfast, attachment: Any) -> str:
    thread = await holdfast.client.beta.threads.create()
    await holdfast.client.beta.threads.messages.create(thread.id, **message(attachment))
    return thread.id


async def on_new_thread_and_run(holdfast: RunningHoldfast, attachment: Any) -> str:
    run = await holdfast.run(await holdfast.assistant(SCRIPTED_MODEL), thread={"messages": [message(attachment)]})
    return run.thread_id


async def on_run(holdfast: RunningHoldfast, attachment: Any) -> str:
    thread = await holdfast.client.beta.threads.create()
    assistant = await holdfast.assistant(SCRIPTED_MODEL)
    await holdfast.client.beta.threads.runs.create(
        thread.id, assistant_id=assistant, additional_messages=[message(attachment)]
    )
    return thread.id


Place = Callable[[RunningHoldfast, Any], Awaitable[str]]


@pytest.mark.parametrize("place", [on_new_thread, on_thread, on_new_thread_and_run, on_run])
async def test_attached_file_is_for_both_tools_and_is_shown(holdfast: RunningHoldfast, place: Place) -> None:
    file_id = await store_file(holdfast.resources, "Hello.")
    given = attached(file_id, INTERPRETER, SEARCH)

    thread = await holdfast.client.beta.threads.retrieve(await place(holdfast, given))

    store = await holdfast.client.vector_stores.retrieve(store_of(thread))
    assert (store.expires_at or 0) - (store.last_active_at or 0) == 7 * DAY_SECONDS
    assert await files_of(holdfast, store.id) == {file_id}
    assert await is_ingested(holdfast, store.id)
    messages = (await holdfast.client.beta.threads.messages.list(thread.id, order="asc")).data
    assert [each.to_dict() for each in messages[0].attachments or ()] == [given]
    assert interpreter_files(thread) == [file_id]
    single = await holdfast.client.beta.threads.messages.retrieve(messages[0].id, thread_id=thread.id)
    assert single.attachments == messages[0].attachments


async def test_later_messages_extend_the_store(holdfast: RunningHoldfast) -> None:
    first, second, third = [await store_file(holdfast.resources, text) for text in "abc"]
    threads = holdfast.client.beta.threads
    thread = await threads.create(messages=[message(attached(first))])

    await threads.messages.create(thread.id, **message(attached(second), attached(third)))
    await threads.messages.create(thread.id, **message(attached(second)))

    assert store_of(await threads.retrieve(thread.id)) == store_of(thread)
    assert await files_of(holdfast, store_of(thread)) == {first, second, third}


async def test_file_that_the_store_has_keeps_its_chunks(holdfast: RunningHoldfast) -> None:
    file_id = await store_file(holdfast.resources, "a")
    store_files = holdfast.client.vector_stores.files
    store_id = (await holdfast.client.vector_stores.create()).id
    await fill(holdfast, store_id, {file_id: "a"}, ChunkSizes(100, 0))
    before = await store_files.retrieve(file_id, vector_store_id=store_id)

    await holdfast.client.beta.threads.create(tool_resources=by_id(store_id), messages=[message(attached(file_id))])

    assert before.status == "completed"
    assert await store_files.retrieve(file_id, vector_store_id=store_id) == before


async def test_messages_at_once_share_one_store(holdfast: RunningHoldfast) -> None:
    ids = [await store_file(holdfast.resources, text) for text in "abcde"]
    threads = holdfast.client.beta.threads
    thread = await threads.create()

    await asyncio.gather(*(threads.messages.create(thread.id, **message(attached(file_id))) for file_id in ids))

    assert await files_of(holdfast, store_of(await threads.retrieve(thread.id))) == set(ids)


async def test_file_extends_the_store_that_the_thread_was_given(holdfast: RunningHoldfast) -> None:
    store_id = (await holdfast.client.vector_stores.create()).id
    file_id = await store_file(holdfast.resources, "a")

    thread = await holdfast.client.beta.threads.create(
        tool_resources=by_id(store_id), messages=[message(attached(file_id))]
    )

    assert store_of(thread) == store_id
    assert await files_of(holdfast, store_id) == {file_id}
    assert (await holdfast.client.vector_stores.retrieve(store_id)).expires_after is None


async def test_file_joins_the_store_that_is_created_with_its_thread(holdfast: RunningHoldfast) -> None:
    first, second = [await store_file(holdfast.resources, text) for text in "ab"]
    inline: Any = {"file_search": {"vector_stores": [{"file_ids": [first]}]}}

    thread = await holdfast.client.beta.threads.create(tool_resources=inline, messages=[message(attached(second))])

    assert await files_of(holdfast, store_of(thread)) == {first, second}


async def test_deleted_store_is_replaced(holdfast: RunningHoldfast) -> None:
    first, second = [await store_file(holdfast.resources, text) for text in "ab"]
    threads = holdfast.client.beta.threads
    thread = await threads.create(messages=[message(attached(first))])
    await holdfast.client.vector_stores.delete(store_of(thread))

    await threads.messages.create(thread.id, **message(attached(second)))

    assert await files_of(holdfast, store_of(await threads.retrieve(thread.id))) == {second}


async def test_expired_store_takes_no_file(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    first, second = [await store_file(holdfast.resources, text) for text in "ab"]
    thread = await holdfast.client.beta.threads.create(messages=[message(attached(first))])
    expired = VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_of(thread)).values(expires_at=1)
    await holdfast.resources.database.write(lambda connection: connection.execute(expired))

    response = await http.post(f"/v1/threads/{thread.id}/messages", json=message(attached(second)))

    assert_error(response, 400, f"Vector store '{store_of(thread)}' has expired")
    assert len((await holdfast.client.beta.threads.messages.list(thread.id)).data) == 1


async def test_files_for_the_code_interpreter_stay_with_the_thread(holdfast: RunningHoldfast) -> None:
    table, both = [await store_file(holdfast.resources, "a,b", name) for name in ("table.csv", "notes.md")]
    threads = holdfast.client.beta.threads
    given = (attached(table, INTERPRETER), attached(both, INTERPRETER, SEARCH))
    thread = await threads.create(messages=[message(*given)])

    created = await threads.messages.create(thread.id, **message(attached(table, INTERPRETER)))

    read = await threads.retrieve(thread.id)
    assert interpreter_files(read) == interpreter_files(thread) == [table, both]
    assert await files_of(holdfast, store_of(read)) == {both}
    assert [each.to_dict() for each in created.attachments or ()] == [attached(table, INTERPRETER)]


async def test_same_file_may_be_attached_twice_with_different_tools(holdfast: RunningHoldfast) -> None:
    file_id = await store_file(holdfast.resources, "a")
    given = (attached(file_id, SEARCH), attached(file_id, INTERPRETER))

    thread = await holdfast.client.beta.threads.create(messages=[message(*given)])

    assert interpreter_files(thread) == [file_id]
    assert await files_of(holdfast, store_of(thread)) == {file_id}
    (created,) = (await holdfast.client.beta.threads.messages.list(thread.id)).data
    assert [each.to_dict() for each in created.attachments or ()] == list(given)


async def test_deleted_file_is_no_longer_the_code_interpreters(holdfast: RunningHoldfast) -> None:
    first, second = [await store_file(holdfast.resources, text) for text in "ab"]
    resources: Any = {"code_interpreter": {"file_ids": [first, second]}}
    thread = await holdfast.client.beta.threads.create(tool_resources=resources)
    assistant = await holdfast.client.beta.assistants.create(model="m", tool_resources=resources)

    await holdfast.client.files.delete(first)

    read = await holdfast.client.beta.threads.retrieve(thread.id)
    owner = await holdfast.client.beta.assistants.retrieve(assistant.id)
    (listed,) = (await holdfast.client.beta.assistants.list(limit=1)).data
    assert interpreter_files(read) == [second]
    assert owner.tool_resources
    assert owner.tool_resources.code_interpreter
    assert owner.tool_resources.code_interpreter.file_ids == [second]
    assert listed == owner


async def test_code_interpreter_takes_twenty_files(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    ids = [await store_file(holdfast.resources, "a") for _ in range(21)]
    resources: Any = {"code_interpreter": {"file_ids": ids[:19]}}
    thread = await holdfast.client.beta.threads.create(tool_resources=resources)
    path = f"/v1/threads/{thread.id}/messages"

    last = await http.post(path, json=message(attached(ids[19], INTERPRETER)))
    refused = await http.post(path, json=message(attached(ids[20], INTERPRETER)))
    await holdfast.client.files.delete(ids[0])
    in_its_place = await http.post(path, json=message(attached(ids[20], INTERPRETER)))

    assert (last.status_code, in_its_place.status_code) == (200, 200)
    assert_error(
        refused,
        400,
        "Invalid 'tool_resources.code_interpreter.file_ids': array too long. Expected an array with maximum length "
        "20, but got an array with length 21 instead.",
        "tool_resources.code_interpreter.file_ids",
        "array_above_max_length",
    )
    assert interpreter_files(await holdfast.client.beta.threads.retrieve(thread.id)) == ids[1:]


@pytest.mark.parametrize("tools", [[SEARCH], [INTERPRETER], [SEARCH, INTERPRETER]])
async def test_unknown_file_is_rejected_and_nothing_is_stored(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, tools: Any
) -> None:
    known = await store_file(holdfast.resources, "a")
    assistant = await holdfast.assistant(SCRIPTED_MODEL)
    thread = await holdfast.client.beta.threads.create()
    stores = (await http.get("/v1/vector_stores", params={"limit": 1})).json()["first_id"]
    body = message(attached(known), {"file_id": "file-unknown", "tools": tools})

    for path, sent in (
        ("threads", {"messages": [body]}),
        (f"threads/{thread.id}/messages", body),
        ("threads/runs", {"assistant_id": assistant, "thread": {"messages": [body]}}),
        (f"threads/{thread.id}/runs", {"assistant_id": assistant, "additional_messages": [body]}),
    ):
        assert_error(await http.post(f"/v1/{path}", json=sent), 404, *UNKNOWN)

    assert await holdfast.client.beta.threads.retrieve(thread.id) == thread
    assert (await holdfast.client.beta.threads.messages.list(thread.id)).data == []
    assert (await holdfast.client.beta.threads.runs.list(thread.id)).data == []
    assert (await http.get("/v1/vector_stores", params={"limit": 1})).json()["first_id"] == stores


@pytest.mark.parametrize("path", ["threads", "assistants"])
async def test_unknown_file_of_the_code_interpreter_is_rejected(http: httpx.AsyncClient, path: str) -> None:
    created = (await http.post(f"/v1/{path}", json={"model": "m"} if path == "assistants" else {})).json()["id"]
    resources = {"tool_resources": {"code_interpreter": {"file_ids": ["file-unknown"]}}}
    model = {"model": "m"} if path == "assistants" else {}

    assert_error(await http.post(f"/v1/{path}", json=model | resources), 404, *UNKNOWN)
    assert_error(await http.post(f"/v1/{path}/{created}", json=resources), 404, *UNKNOWN)


@pytest.mark.parametrize("tool", [SEARCH, INTERPRETER])
async def test_file_of_another_project_is_unknown(own_holdfast: RunningHoldfast, tool: Any) -> None:
    file_id = await store_file(own_holdfast.resources, "a")
    moved = FILES.update().where(FILES.c.id == file_id).values(project_id="other")
    await own_holdfast.resources.database.write(lambda connection: connection.execute(moved))

    async with httpx.AsyncClient(base_url=own_holdfast.url, headers={"Authorization": "Bearer any"}) as http:
        response = await http.post("/v1/threads", json={"messages": [message(attached(file_id, tool))]})

    assert_error(response, 404, f"No such File object: {file_id}", "id")


async def test_file_that_cannot_be_searched_is_rejected(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    file_id = await store_file(holdfast.resources, b"\x89PNG", "photo.png")

    response = await http.post("/v1/threads", json={"messages": [message(attached(file_id))]})

    assert_error(
        response,
        400,
        "Files with extensions [.png] are not supported for retrieval.",
        "file_ids",
        "unsupported_file",
    )


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("attachment", "text", "param", "code"),
    [
        (
            {"tools": [SEARCH]},
            "Missing required parameter: 'attachments[0].file_id'.",
            "attachments[0].file_id",
            "missing_required_parameter",
        ),
        (
            {"file_id": "file-a"},
            "Missing required parameter: 'attachments[0].tools'.",
            "attachments[0].tools",
            "missing_required_parameter",
        ),
        (
            {"file_id": "file-a", "tools": []},
            "Invalid 'attachments[0].tools': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead.",
            "attachments[0].tools",
            "empty_array",
        ),
        (
            attached("vs_a"),
            "Invalid 'attachments[0].file_id': 'vs_a'. Expected an ID that begins with 'file'.",
            "attachments[0].file_id",
            "invalid_value",
        ),
        (
            attached("file-a", {"type": "retrieval"}),
            "Invalid value: 'retrieval'. Supported values are: 'code_interpreter' and 'file_search'.",
            "attachments[0].tools[0].type",
            "invalid_value",
        ),
    ],
)
async def test_malformed_attachment_is_rejected(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, attachment: Any, text: str, param: str, code: str
) -> None:
    thread = await holdfast.client.beta.threads.create()

    response = await http.post(f"/v1/threads/{thread.id}/messages", json=message(attachment))

    assert_error(response, 400, text, param, code)


async def test_repeated_request_attaches_once(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    file_id = await store_file(holdfast.resources, "a")
    thread = await holdfast.client.beta.threads.create()
    key = {"Idempotency-Key": f"attach-{thread.id}"}

    first, second = [
        await http.post(f"/v1/threads/{thread.id}/messages", json=message(attached(file_id)), headers=key)
        for _ in range(2)
    ]

    assert first.json() == second.json()
    assert len((await holdfast.client.beta.threads.messages.list(thread.id)).data) == 1
    store_id = store_of(await holdfast.client.beta.threads.retrieve(thread.id))
    assert await files_of(holdfast, store_id) == {file_id}
    assert await is_ingested(holdfast, store_id)


async def test_message_while_a_run_is_active_attaches_nothing(own_holdfast: RunningHoldfast) -> None:
    file_id = await store_file(own_holdfast.resources, "a")
    run = await own_holdfast.run(await own_holdfast.assistant(SCRIPTED_MODEL))

    async with httpx.AsyncClient(base_url=own_holdfast.url) as http:
        response = await http.post(f"/v1/threads/{run.thread_id}/messages", json=message(attached(file_id)))

    assert_error(response, 400, f"Can't add messages to {run.thread_id} while a run {run.id} is active.")
    thread = await own_holdfast.client.beta.threads.retrieve(run.thread_id)
    assert thread.tool_resources
    assert thread.tool_resources.file_search is None
