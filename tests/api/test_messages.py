from typing import Any

import httpx
import pytest
from openai import NotFoundError

from tests.holdfast import RunningHoldfast


@pytest.fixture
async def thread_id(holdfast: RunningHoldfast) -> str:
    return (await holdfast.client.beta.threads.create()).id


async def test_message_has_every_key(http: httpx.AsyncClient, thread_id: str) -> None:
    body = {"role": "user", "content": "Hello", "attachments": None, "metadata": None}

    created = (await http.post(f"/v1/threads/{thread_id}/messages", json=body)).json()

    assert (await http.get(f"/v1/threads/{thread_id}/messages/{created['id']}")).json() == created
    assert created.pop("id").startswith("msg_")
    assert created["created_at"] == created.pop("completed_at")
    assert isinstance(created.pop("created_at"), int)
    assert created == {
        "object": "thread.message",
        "thread_id": thread_id,
        "status": "completed",
        "incomplete_details": None,
        "incomplete_at": None,
        "role": "user",
        "content": [{"type": "text", "text": {"value": "Hello", "annotations": []}}],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
    }


async def test_content_parts_are_returned_in_their_form(holdfast: RunningHoldfast, thread_id: str) -> None:
    created = await holdfast.client.beta.threads.messages.create(
        thread_id,
        role="user",
        content=[
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/b.png", "detail": "low"}},
        ],
    )

    assert [part.to_dict() for part in created.content] == [
        {"type": "text", "text": {"value": "What is this?", "annotations": []}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/b.png", "detail": "low"}},
    ]


@pytest.mark.any_database
async def test_null_is_accepted_for_optional_fields(http: httpx.AsyncClient, thread_id: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": None}}
    resources = {"code_interpreter": {"file_ids": None}, "file_search": {"vector_store_ids": None}}

    message = await http.post(f"/v1/threads/{thread_id}/messages", json={"role": "user", "content": [image]})
    assistant = await http.post("/v1/assistants", json={"model": "m", "tool_resources": resources})

    assert message.json()["content"][0]["image_url"]["detail"] == "auto"
    assert assistant.status_code == 200, assistant.text


async def test_assistant_message_created_by_client_has_no_run(holdfast: RunningHoldfast, thread_id: str) -> None:
    created = await holdfast.client.beta.threads.messages.create(thread_id, role="assistant", content="I said so.")

    assert (created.role, created.assistant_id, created.run_id) == ("assistant", None, None)


@pytest.mark.parametrize("content", ["🦆 " * 3, "  \n\t ", "", "﷽" * 1000, "a" * 256_000])
async def test_text_is_stored_unchanged(holdfast: RunningHoldfast, thread_id: str, content: str) -> None:
    created = await holdfast.client.beta.threads.messages.create(thread_id, role="user", content=content)

    read = await holdfast.client.beta.threads.messages.retrieve(created.id, thread_id=thread_id)
    assert read.content[0].type == "text"
    assert read.content[0].text.value == content


async def test_modify_changes_metadata_only(http: httpx.AsyncClient, thread_id: str) -> None:
    path = f"/v1/threads/{thread_id}/messages"
    created: dict[str, Any] = (
        await http.post(path, json={"role": "user", "content": "Hi", "metadata": {"a": "1", "b": "2"}})
    ).json()
    path += f"/{created['id']}"

    changed = (await http.post(path, json={"metadata": {"b": "3"}})).json()
    untouched = (await http.post(path)).json()
    cleared = (await http.post(path, json={"metadata": None})).json()

    assert changed == untouched == created | {"metadata": {"a": "1", "b": "3"}}
    assert cleared == created | {"metadata": {}}


async def test_deleted_message_is_not_found(holdfast: RunningHoldfast, thread_id: str) -> None:
    created = await holdfast.client.beta.threads.messages.create(thread_id, role="user", content="Hi")

    deleted = await holdfast.client.beta.threads.messages.delete(created.id, thread_id=thread_id)

    assert deleted.to_dict() == {"id": created.id, "object": "thread.message.deleted", "deleted": True}
    with pytest.raises(NotFoundError):
        await holdfast.client.beta.threads.messages.retrieve(created.id, thread_id=thread_id)
    assert (await holdfast.client.beta.threads.messages.list(thread_id)).data == []


async def test_run_id_filters_messages(holdfast: RunningHoldfast) -> None:
    assistant = await holdfast.assistant("holdfast/scripted")
    run = await holdfast.until(await holdfast.run(assistant))
    await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content="Later")

    page = await holdfast.client.beta.threads.messages.list(run.thread_id, run_id=run.id)
    none = await holdfast.client.beta.threads.messages.list(run.thread_id, run_id="run_unknown")

    assert [(message.role, message.run_id, message.assistant_id) for message in page.data] == [
        ("assistant", run.id, assistant)
    ]
    assert none.data == []
