"""A cursor may name a deleted object: programs delete listed objects and continue the list after them."""

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast


async def test_assistants_can_be_deleted_while_listed(own_holdfast: RunningHoldfast) -> None:
    client = own_holdfast.client
    created = [await own_holdfast.assistant(SCRIPTED_MODEL) for _ in range(7)]

    deleted = [
        (await client.beta.assistants.delete(assistant.id)).id
        async for assistant in client.beta.assistants.list(limit=2)
    ]

    assert deleted == created[::-1]
    assert (await client.beta.assistants.list()).data == []


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_messages_can_be_deleted_while_listed(holdfast: RunningHoldfast, order: str) -> None:
    messages = holdfast.client.beta.threads.messages
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "x"}] * 7)

    deleted = [
        (await messages.delete(message.id, thread_id=thread.id)).id
        async for message in messages.list(thread.id, limit=2, order="asc" if order == "asc" else "desc")
    ]

    assert len(deleted) == 7
    assert (await messages.list(thread.id)).data == []


async def test_deleted_object_keeps_its_position_as_cursor(holdfast: RunningHoldfast) -> None:
    messages = holdfast.client.beta.threads.messages
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "x"}] * 3)
    oldest, middle, newest = [message.id async for message in messages.list(thread.id, order="asc")]
    await messages.delete(middle, thread_id=thread.id)

    after = await messages.list(thread.id, order="asc", after=middle)
    before = await messages.list(thread.id, order="asc", before=middle)

    assert [message.id for message in after.data] == [newest]
    assert [message.id for message in before.data] == [oldest]


async def test_cursor_rejects_deleted_message_of_another_thread(http: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "x"}]}
    one, other = [(await http.post("/v1/threads", json=body)).json()["id"] for _ in range(2)]
    deleted = (await http.get(f"/v1/threads/{one}/messages")).json()["first_id"]
    await http.delete(f"/v1/threads/{one}/messages/{deleted}")

    response = await http.get(f"/v1/threads/{other}/messages", params={"after": deleted})

    assert_error(response, 404, f"No message found with id '{deleted}'.")
