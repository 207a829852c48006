"""Files of programs that use the first beta (v1): retrieval, and the files of assistants and messages."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from api.assistant_files import MANY_FILES_OF_V2
from infra.database.file_tables import FILES
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.code_runs import CODE
from tests.holdfast import RunningHoldfast
from tests.searched_stores import SEARCH, by_id, store_of
from tests.stored_files import store_file

V1 = {"OpenAI-Beta": "assistants=v1"}
RETRIEVAL: Any = {"type": "retrieval"}


@pytest.fixture
def holdfast(idle_holdfast: RunningHoldfast) -> RunningHoldfast:
    """Without a worker: none of the files is read."""
    return idle_holdfast


@pytest.fixture
def http(idle_http: httpx.AsyncClient) -> httpx.AsyncClient:
    return idle_http


@pytest.fixture
async def v1(holdfast: RunningHoldfast) -> Any:
    async with httpx.AsyncClient(base_url=f"{holdfast.url}/v1", headers=V1, timeout=30) as client:
        yield client


async def ok(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


async def new_assistant(v1: httpx.AsyncClient, *file_ids: str) -> Any:
    body = {"model": SCRIPTED_MODEL, "tools": [RETRIEVAL], "file_ids": list(file_ids)}
    return await ok(await v1.post("/assistants", json=body))


async def files_of(v1: httpx.AsyncClient, assistant_id: str, **params: Any) -> list[str]:
    page = await ok(await v1.get(f"/assistants/{assistant_id}/files", params={"order": "asc", **params}))
    return [file["id"] for file in page["data"]]


async def test_assistant_shows_its_files(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    first, second = [await store_file(holdfast.resources, text) for text in "ab"]

    created = await new_assistant(v1, first, second)

    assert (created["tools"], created["file_ids"]) == ([RETRIEVAL], [first, second])
    assert await ok(await v1.get(f"/assistants/{created['id']}")) == created
    assert (await ok(await v1.get("/assistants", params={"limit": 1})))["data"] == [created]
    in_v2 = await holdfast.client.beta.assistants.retrieve(created["id"])
    assert [tool.type for tool in in_v2.tools] == ["file_search"]
    assert in_v2.tool_resources
    assert in_v2.tool_resources.file_search
    (store_id,) = in_v2.tool_resources.file_search.vector_store_ids or [""]
    assert (await holdfast.client.vector_stores.retrieve(store_id)).file_counts.total == 2


async def test_files_of_a_v2_assistant_are_shown(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    store_id = await store_of(holdfast, "a")
    assistant = await holdfast.client.beta.assistants.create(model="m", tools=[SEARCH], tool_resources=by_id(store_id))

    shown = await ok(await v1.get(f"/assistants/{assistant.id}"))

    assert shown["file_ids"] == [file.id async for file in holdfast.client.vector_stores.files.list(store_id)]


async def test_changed_files_replace_the_others(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    first, second, third = [await store_file(holdfast.resources, text) for text in "abc"]
    assistant = await new_assistant(v1, first, second)
    path = f"/assistants/{assistant['id']}"

    changed = await ok(await v1.post(path, json={"file_ids": [third, second]}))
    renamed = await ok(await v1.post(path, json={"name": "Clerk"}))
    emptied = await ok(await v1.post(path, json={"file_ids": []}))

    assert changed["file_ids"] == renamed["file_ids"] == [second, third]
    assert emptied["file_ids"] == []
    assert (await holdfast.client.files.retrieve(first)).id == first


async def test_first_files_of_an_assistant_may_come_with_a_change(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient
) -> None:
    file_id = await store_file(holdfast.resources, "a")
    assistant = await new_assistant(v1)

    changed = await ok(await v1.post(f"/assistants/{assistant['id']}", json={"file_ids": [file_id]}))

    assert changed["file_ids"] == [file_id]


async def test_repeat_with_other_files_is_another_request(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    first, second = [await store_file(holdfast.resources, text) for text in "ab"]
    assistant = await new_assistant(v1)
    path, key = f"/assistants/{assistant['id']}", {"Idempotency-Key": f"v1-{assistant['id']}"}
    await ok(await v1.post(path, json={"file_ids": [first]}, headers=key))

    repeated = await v1.post(path, json={"file_ids": [first]}, headers=key)
    other = await v1.post(path, json={"file_ids": [second]}, headers=key)

    assert (repeated.status_code, other.status_code) == (200, 400)
    assert await files_of(v1, assistant["id"]) == [first]


async def test_taking_all_files_away_does_not_repeat_a_change_without_files(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient
) -> None:
    assistant = await new_assistant(v1, await store_file(holdfast.resources, "a"))
    path, key = f"/assistants/{assistant['id']}", {"Idempotency-Key": f"v1-none-{assistant['id']}"}
    await ok(await v1.post(path, json={"name": "Files"}, headers=key))

    other = await v1.post(path, json={"name": "Files", "file_ids": []}, headers=key)

    assert other.status_code == 400


async def test_assistant_files_are_added_listed_and_taken_away(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient
) -> None:
    ids = [await store_file(holdfast.resources, text) for text in "abc"]
    assistant = (await new_assistant(v1))["id"]
    path = f"/assistants/{assistant}/files"
    assert await files_of(v1, assistant) == []

    created = [await ok(await v1.post(path, json={"file_id": file_id})) for file_id in ids]
    again = await ok(await v1.post(path, json={"file_id": ids[0]}))

    assert created[0] == again
    assert [file.pop("created_at") > 0 for file in created] == [True] * 3
    assert created == [{"id": each, "object": "assistant.file", "assistant_id": assistant} for each in ids]
    assert await files_of(v1, assistant) == ids
    assert await files_of(v1, assistant, order="desc", limit=2) == ids[:0:-1]
    assert await files_of(v1, assistant, after=ids[0], limit=1) == [ids[1]]
    assert (await ok(await v1.get(f"{path}/{ids[1]}")))["id"] == ids[1]

    deleted = await ok(await v1.delete(f"{path}/{ids[1]}"))

    assert deleted == {"id": ids[1], "object": "assistant.file.deleted", "deleted": True}
    assert await files_of(v1, assistant) == [ids[0], ids[2]]
    for missing in (await v1.get(f"{path}/{ids[1]}"), await v1.delete(f"{path}/{ids[1]}")):
        assert_error(missing, 404, f"No file found with id '{ids[1]}'.")
    assert (await holdfast.client.files.retrieve(ids[1])).id == ids[1]


async def test_file_that_is_deleted_leaves_its_assistant(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    file_id = await store_file(holdfast.resources, "a")
    assistant = await new_assistant(v1, file_id)

    await ok(await v1.delete(f"/files/{file_id}"))

    assert (await ok(await v1.get(f"/assistants/{assistant['id']}")))["file_ids"] == []


async def test_assistant_without_its_store_gets_another(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    file_id = await store_file(holdfast.resources, "a")
    store_id = await store_of(holdfast, "b")
    created = await holdfast.client.beta.assistants.create(model="m", tools=[SEARCH], tool_resources=by_id(store_id))
    await holdfast.client.vector_stores.delete(store_id)
    assert await files_of(v1, created.id) == []
    assert_error(await v1.get(f"/assistants/{created.id}/files/{file_id}"), 404, f"No file found with id '{file_id}'.")

    await ok(await v1.post(f"/assistants/{created.id}/files", json={"file_id": file_id}))

    assert (await ok(await v1.get(f"/assistants/{created.id}")))["file_ids"] == [file_id]


async def test_assistant_has_at_most_twenty_files(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    ids = [await store_file(holdfast.resources, "a") for _ in range(21)]
    assistant = await new_assistant(v1, *ids[:20])

    response = await v1.post(f"/assistants/{assistant['id']}/files", json={"file_id": ids[20]})

    assert_error(response, 400, "An assistant has at most 20 files. Delete some.", "file_id")
    assert assistant["file_ids"] == ids[:20]


@pytest.mark.parametrize("kept", [[], [0, 24]])
async def test_files_replace_a_larger_store_of_v2(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient, kept: list[int]
) -> None:
    ids = [await store_file(holdfast.resources, "a") for _ in range(25)]
    store = await holdfast.client.vector_stores.create(file_ids=ids)
    assistant = await holdfast.client.beta.assistants.create(model="m", tools=[SEARCH], tool_resources=by_id(store.id))
    path, wanted = f"/assistants/{assistant.id}", [ids[place] for place in kept]

    changed = await ok(await v1.post(path, json={"file_ids": wanted}))

    assert changed["file_ids"] == wanted
    assert await files_of(v1, assistant.id, limit=100) == wanted
    assert (await holdfast.client.vector_stores.retrieve(store.id)).file_counts.total == len(ids)


async def shared_store(holdfast: RunningHoldfast, files: int) -> tuple[str, list[str], list[str]]:
    """A store of v2 with so many files, the files, and two assistants that use it."""
    ids = [await store_file(holdfast.resources, "a") for _ in range(files)]
    store = await holdfast.client.vector_stores.create(file_ids=ids)
    assistants = holdfast.client.beta.assistants
    users = [await assistants.create(model="m", tools=[SEARCH], tool_resources=by_id(store.id)) for _ in range(2)]
    return store.id, ids, [user.id for user in users]


@pytest.mark.parametrize("kept", [[], [1]])
async def test_files_that_are_replaced_stay_with_the_others_that_use_their_store(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient, kept: list[int]
) -> None:
    store_id, ids, (one, other) = await shared_store(holdfast, 2)
    wanted = [ids[place] for place in kept]

    changed = await ok(await v1.post(f"/assistants/{one}", json={"file_ids": wanted}))

    assert changed["file_ids"] == await files_of(v1, one) == wanted
    assert await files_of(v1, other) == ids
    assert (await holdfast.client.vector_stores.retrieve(store_id)).file_counts.total == len(ids)


async def test_file_that_is_taken_away_stays_with_the_others_that_use_its_store(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient
) -> None:
    store_id, ids, (one, other) = await shared_store(holdfast, 3)

    await ok(await v1.delete(f"/assistants/{one}/files/{ids[1]}"))

    assert await files_of(v1, one) == [ids[0], ids[2]]
    assert await files_of(v1, other) == ids
    assert (await holdfast.client.vector_stores.retrieve(store_id)).file_counts.total == len(ids)


async def test_file_of_a_larger_store_of_v2_is_not_taken_away(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    store_id, ids, (one, _) = await shared_store(holdfast, 21)

    refused = await v1.delete(f"/assistants/{one}/files/{ids[0]}")

    assert_error(refused, 400, MANY_FILES_OF_V2)
    assert (await holdfast.client.vector_stores.retrieve(store_id)).file_counts.total == len(ids)


@pytest.mark.parametrize("begins_empty", [False, True])
async def test_store_that_v1_made_is_kept_when_files_leave(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient, begins_empty: bool
) -> None:
    ids = [await store_file(holdfast.resources, "a") for _ in range(2)]
    assistant = (await new_assistant(v1, *([] if begins_empty else ids)))["id"]
    await ok(await v1.post(f"/assistants/{assistant}", json={"file_ids": ids}))
    before = (await holdfast.client.beta.assistants.retrieve(assistant)).tool_resources

    await ok(await v1.post(f"/assistants/{assistant}", json={"file_ids": ids[:1]}))
    await ok(await v1.delete(f"/assistants/{assistant}/files/{ids[0]}"))

    assert (await holdfast.client.beta.assistants.retrieve(assistant)).tool_resources == before
    assert await files_of(v1, assistant) == []


async def test_file_of_a_larger_store_is_there_already(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    ids = [await store_file(holdfast.resources, "a") for _ in range(25)]
    store = await holdfast.client.vector_stores.create(file_ids=ids)
    assistant = await holdfast.client.beta.assistants.create(model="m", tool_resources=by_id(store.id))
    last = [file.id async for file in holdfast.client.vector_stores.files.list(store.id, order="asc")][-1]

    added = await ok(await v1.post(f"/assistants/{assistant.id}/files", json={"file_id": last}))

    assert added["id"] == last


async def test_missing_things_are_named(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    file_id = await store_file(holdfast.resources, "a")
    other = await store_file(holdfast.resources, "a")
    moved = FILES.update().where(FILES.c.id == other).values(project_id="other")
    await holdfast.resources.database.write(lambda connection: connection.execute(moved))
    assistant = (await new_assistant(v1))["id"]
    thread = (await ok(await v1.post("/threads", json={})))["id"]
    no_file, no_thread = f"No such File object: {other}", "No thread found with id 'thread_x'."
    no_assistant, no_message = "No assistant found with id 'asst_x'.", "No message found with id 'msg_x'."

    for response, message, param in (
        (await v1.post(f"/assistants/{assistant}/files", json={"file_id": other}), no_file, "id"),
        (await v1.post(f"/assistants/{assistant}", json={"file_ids": [other]}), no_file, "id"),
        (await v1.post("/assistants", json={"model": "m", "file_ids": [other]}), no_file, "id"),
        (await v1.post("/assistants/asst_x/files", json={"file_id": file_id}), no_assistant, None),
        (await v1.post("/assistants/asst_x", json={"file_ids": [file_id]}), no_assistant, None),
        (await v1.get("/assistants/asst_x/files"), no_assistant, None),
        (await v1.get(f"/assistants/asst_x/files/{file_id}"), no_assistant, None),
        (await v1.delete(f"/assistants/asst_x/files/{file_id}"), no_assistant, None),
        (await v1.get(f"/threads/{thread}/messages/msg_x/files"), no_message, None),
        (await v1.get(f"/threads/thread_x/messages/msg_x/files/{file_id}"), no_thread, None),
    ):
        assert_error(response, 404, message, param)
    assert await files_of(v1, assistant) == []


async def test_files_of_messages_can_be_read(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    ids = [await store_file(holdfast.resources, text) for text in "abc"]
    thread = (await ok(await v1.post("/threads", json={})))["id"]

    message = await ok(
        await v1.post(f"/threads/{thread}/messages", json={"role": "user", "content": "Hi", "file_ids": ids})
    )

    path = f"/threads/{thread}/messages/{message['id']}/files"
    assert message["file_ids"] == ids
    listed = await ok(await v1.get(path, params={"order": "asc"}))
    common = {"object": "thread.message.file", "created_at": message["created_at"], "message_id": message["id"]}
    assert listed["data"] == [{"id": file_id, **common} for file_id in ids]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (ids[0], ids[2], False)
    newest = await ok(await v1.get(path, params={"limit": 2}))
    assert ([file["id"] for file in newest["data"]], newest["has_more"]) == (ids[:0:-1], True)
    rest = await ok(await v1.get(path, params={"after": ids[1]}))
    assert [file["id"] for file in rest["data"]] == [ids[0]]
    before = await ok(await v1.get(path, params={"order": "asc", "before": ids[2], "limit": 1}))
    assert ([file["id"] for file in before["data"]], before["has_more"]) == ([ids[1]], True)
    assert await ok(await v1.get(f"{path}/{ids[1]}")) == {"id": ids[1], **common}
    assert_error(await v1.get(f"{path}/file-x"), 404, "No file found with id 'file-x'.")
    assert_error(await v1.get(path, params={"after": "file-x"}), 404, "No file found with id 'file-x'.")
    in_v2 = await holdfast.client.beta.threads.messages.retrieve(message["id"], thread_id=thread)
    assert [each.to_dict() for each in in_v2.attachments or ()] == [
        {"file_id": file_id, "tools": [SEARCH, CODE]} for file_id in ids
    ]


async def new_thread_with(v1: httpx.AsyncClient, bodies: list[Any]) -> str:
    return str((await ok(await v1.post("/threads", json={"messages": bodies})))["id"])


async def new_thread_and_run_with(v1: httpx.AsyncClient, bodies: list[Any]) -> str:
    assistant = await new_assistant(v1)
    body = {"assistant_id": assistant["id"], "thread": {"messages": bodies}}
    return str((await ok(await v1.post("/threads/runs", json=body)))["thread_id"])


async def added_one_by_one(v1: httpx.AsyncClient, bodies: list[Any]) -> str:
    thread = await new_thread_with(v1, [])
    for body in bodies:
        await ok(await v1.post(f"/threads/{thread}/messages", json=body))
    return thread


async def added_with_run(v1: httpx.AsyncClient, bodies: list[Any]) -> str:
    thread, assistant = await new_thread_with(v1, bodies[:1]), await new_assistant(v1)
    body = {"assistant_id": assistant["id"], "additional_messages": bodies[1:]}
    await ok(await v1.post(f"/threads/{thread}/runs", json=body))
    return thread


@pytest.mark.parametrize("post", [new_thread_with, new_thread_and_run_with, added_one_by_one, added_with_run])
async def test_code_interpreter_has_the_last_twenty_files_of_messages(
    holdfast: RunningHoldfast, v1: httpx.AsyncClient, post: Callable[..., Awaitable[str]]
) -> None:
    ids = [await store_file(holdfast.resources, "a") for _ in range(21)]
    # The first file again: it is not the oldest then.
    of_messages = [ids[:10], ids[10:20], [ids[0], ids[20]]]
    bodies = [{"role": "user", "content": "Hi", "file_ids": each} for each in of_messages]

    thread = await holdfast.client.beta.threads.retrieve(await post(v1, bodies))

    resources = thread.tool_resources
    assert resources
    assert resources.code_interpreter
    assert resources.file_search
    interpreted = resources.code_interpreter.file_ids or []
    assert (len(interpreted), {*ids} - {*interpreted}) == (20, {ids[1]})
    (store_id,) = resources.file_search.vector_store_ids or [""]
    assert (await holdfast.client.vector_stores.retrieve(store_id)).file_counts.total == 21


@pytest.mark.any_database
@pytest.mark.parametrize("path", ["/assistants/asst_x/files", "/threads/thread_x/messages/msg_x/files"])
async def test_v2_has_no_such_routes(http: httpx.AsyncClient, path: str) -> None:
    assert_error(await http.get(f"/v1{path}"), 404, f"Invalid URL (GET /v1{path})")


@pytest.mark.any_database
async def test_v2_change_of_an_assistant_takes_no_file_ids(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/assistants/asst_x", json={"file_ids": ["file-a"]})

    assert_error(response, 400, "Unknown parameter: 'file_ids'.", "file_ids", "unknown_parameter")


async def test_file_that_cannot_be_searched_is_rejected(holdfast: RunningHoldfast, v1: httpx.AsyncClient) -> None:
    file_id = await store_file(holdfast.resources, b"\x89PNG", "photo.png")
    body = {"role": "user", "content": "Hi", "file_ids": [file_id]}
    error = ("Files with extensions [.png] are not supported for retrieval.", "file_ids", "unsupported_file")

    assert_error(await v1.post("/assistants", json={"model": "m", "file_ids": [file_id]}), 400, *error)
    assert_error(await v1.post("/threads", json={"messages": [body]}), 400, *error)
