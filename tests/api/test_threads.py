import httpx
import pytest
from openai import NotFoundError

from tests.holdfast import RunningHoldfast


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (None, {}),
        (b"", {"Content-Type": "application/json"}),
        (b"", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"{}", {"Content-Type": "application/json; charset=utf-8"}),
        (b'{"messages": null, "metadata": null, "tool_resources": null}', {"Content-Type": "application/json"}),
    ],
)
async def test_empty_thread_has_every_key(
    http: httpx.AsyncClient, content: bytes | None, headers: dict[str, str]
) -> None:
    response = await http.post("/v1/threads", content=content, headers=headers)

    created = response.json()
    assert response.status_code == 200
    assert created.pop("id").startswith("thread_")
    assert isinstance(created.pop("created_at"), int)
    assert created == {"object": "thread", "metadata": {}, "tool_resources": {}}


@pytest.mark.any_database
async def test_v1_prefix_is_optional(http: httpx.AsyncClient) -> None:
    created = (await http.post("/threads", json={"metadata": {"a": "1"}})).json()

    assert (await http.get(f"/v1/threads/{created['id']}")).json() == created


async def test_initial_messages_keep_their_order(holdfast: RunningHoldfast) -> None:
    thread = await holdfast.client.beta.threads.create(
        messages=[{"role": "user", "content": "first"}, {"role": "assistant", "content": "second"}]
    )

    page = await holdfast.client.beta.threads.messages.list(thread.id, order="asc")

    assert [(message.role, message.content[0].to_dict()) for message in page.data] == [
        ("user", {"type": "text", "text": {"value": "first", "annotations": []}}),
        ("assistant", {"type": "text", "text": {"value": "second", "annotations": []}}),
    ]


@pytest.mark.any_database
async def test_modify_without_body_changes_nothing(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/threads", json={"metadata": {"a": "1"}})).json()

    modified = await http.post(f"/v1/threads/{created['id']}")

    assert modified.json() == created


async def test_deleted_thread_is_gone_with_its_messages(holdfast: RunningHoldfast) -> None:
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
    [message] = (await holdfast.client.beta.threads.messages.list(thread.id)).data

    deleted = await holdfast.client.beta.threads.delete(thread.id)

    assert deleted.to_dict() == {"id": thread.id, "object": "thread.deleted", "deleted": True}
    with pytest.raises(NotFoundError, match="No thread found with id"):
        await holdfast.client.beta.threads.messages.retrieve(message.id, thread_id=thread.id)
