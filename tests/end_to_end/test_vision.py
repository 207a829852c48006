"""Images in messages that are files: the model gets their bytes, or is told why not."""

from base64 import b64encode
from typing import Any

import httpx
import pytest

from activities import images
from activities.prompt import SHOWN_BEFORE
from infra.language_model.scripted import SCRIPTED_MODEL
from models.attachments import MAX_IMAGE_BYTES
from models.stored_objects import KeyPrefix, object_key
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.stored_files import store_file

PNG = b"\x89PNG\r\n\x1a\nimage"
JPEG = b"\xff\xd8\xff\xe0image"
GIF = b"GIF89aimage"
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 image"


def image(file_id: str, **fields: Any) -> Any:
    return {"type": "image_file", "image_file": {"file_id": file_id, **fields}}


def text(words: str) -> Any:
    return {"type": "text", "text": words}


def data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


async def shown(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, *messages: Any) -> list[Any]:
    """The contents of the user's messages that the model got, oldest first."""
    provider.script(model, Says("I see."))
    thread = {"messages": [{"role": "user", "content": content} for content in messages]}
    run = await holdfast.until(await holdfast.run(await holdfast.assistant(model), thread=thread))
    assert run.status == "completed"
    return [message["content"] for message in provider.requests(model)[-1]["messages"]]


@pytest.mark.parametrize(
    ("purpose", "kind", "content"),
    [("vision", "png", PNG), ("assistants", "jpeg", JPEG), ("user_data", "gif", GIF), ("vision", "webp", WEBP)],
    ids=["png", "jpeg", "gif", "webp"],
)
@pytest.mark.any_database
async def test_image_reaches_the_model_as_data(
    holdfast: RunningHoldfast, provider: ScriptedProvider, purpose: Any, kind: str, content: bytes
) -> None:
    # The name says nothing: the bytes do.
    file = await holdfast.client.files.create(file=("photo.bin", content), purpose=purpose)

    (seen,) = await shown(holdfast, provider, f"sees-{purpose}-{kind}", [text("What is this?"), image(file.id)])

    assert seen == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": data_url(kind, content)}},
    ]


async def test_detail_is_passed_on_and_shown(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    file_id = await store_file(holdfast.resources, PNG)

    (seen,) = await shown(holdfast, provider, "sees-detail", [image(file_id, detail="low")])

    assert seen == [{"type": "image_url", "image_url": {"url": data_url("png", PNG), "detail": "low"}}]
    thread = await holdfast.client.beta.threads.create()
    created = await holdfast.client.beta.threads.messages.create(thread.id, role="user", content=[image(file_id)])
    read = await holdfast.client.beta.threads.messages.retrieve(created.id, thread_id=thread.id)
    assert [part.to_dict() for part in read.content] == [image(file_id, detail="auto")]


async def test_images_of_an_assistants_message_follow_it(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("sees-assistants", Says("I see."))
    file_id, url = await store_file(holdfast.resources, PNG), {"url": "https://images.example/a.png"}
    messages: Any = [
        {"role": "user", "content": "Draw!"},
        {"role": "assistant", "content": [text("Here."), image(file_id)]},
        {"role": "assistant", "content": [{"type": "image_url", "image_url": url}]},
        {"role": "user", "content": "Why so?"},
    ]

    run = await holdfast.run(await holdfast.assistant("sees-assistants"), thread={"messages": messages})

    assert (await holdfast.until(run)).status == "completed"
    asked, drawn, rest = provider.requests("sees-assistants")[0]["messages"]
    assert (asked["role"], drawn, rest["role"]) == ("user", {"role": "assistant", "content": "Here."}, "user")
    parts = [part.get("text", "").strip() or part["image_url"]["url"] for part in rest["content"]]
    assert parts == [SHOWN_BEFORE, data_url("png", PNG), SHOWN_BEFORE, url["url"], "Why so?"]


async def test_deleted_image_is_said_to_the_model(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    file_id = await store_file(holdfast.resources, PNG)
    thread = await holdfast.client.beta.threads.create(
        messages=[{"role": "user", "content": [text("Look!"), image(file_id)]}]
    )
    await holdfast.client.files.delete(file_id)
    provider.script("sees-nothing", Says("I cannot see it."))

    run: Any = await holdfast.client.beta.threads.runs.create(
        thread.id, assistant_id=await holdfast.assistant("sees-nothing")
    )

    assert (await holdfast.until(run)).status == "completed"
    (message,) = provider.requests("sees-nothing")[0]["messages"]
    assert message["content"][1] == text(f"[The image {file_id} is not shown: the file was deleted.]")


async def test_image_without_its_content_is_said_to_the_model(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    file_id = await store_file(holdfast.resources, PNG)
    await holdfast.resources.object_store.delete(object_key(KeyPrefix.FILE, file_id))

    (seen,) = await shown(holdfast, provider, "sees-lost", [text("Look!"), image(file_id)])

    assert seen[1] == text(f"[The image {file_id} is not shown: the file's content is missing.]")


@pytest.mark.any_database
async def test_other_file_is_said_to_the_model(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    named, empty = [await store_file(holdfast.resources, content, "a.png") for content in (b"%PDF-1.7", b"")]

    (seen,) = await shown(holdfast, provider, "sees-pdf", [image(named), image(empty)])

    assert seen == [
        text(f"[The image {file_id} is not shown: the file is not a PNG, JPEG, GIF or WebP image.]")
        for file_id in (named, empty)
    ]


@pytest.mark.any_database
@pytest.mark.parametrize(("limit", "value"), [("MAX_IMAGES", 2), ("MAX_BYTES", 2 * len(PNG) + 1)])
async def test_oldest_images_are_left_out_beyond_the_limits(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(images, limit, value)
    ids = [await store_file(holdfast.resources, PNG) for _ in range(3)]

    seen = await shown(holdfast, provider, f"sees-{limit}", *([text("Look!"), image(file_id)] for file_id in ids))

    (parts,) = seen
    assert [part["type"] for part in parts].count("image_url") == 2
    too_many = "there are too many newer images in the conversation"
    assert parts[1] == text(f"[The image {ids[0]} is not shown: {too_many}.]")


@pytest.mark.any_database
async def test_images_count_in_the_token_budget(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("sees-some", Says("I see."), Says("I see."))
    ids = [await store_file(holdfast.resources, PNG) for _ in range(3)]
    assistant = await holdfast.assistant("sees-some")

    for detail in ("high", "low"):
        messages = [{"role": "user", "content": [image(file_id, detail=detail)]} for file_id in ids]
        run = await holdfast.run(assistant, thread={"messages": messages}, max_prompt_tokens=2_300)
        await holdfast.until(run)

    shown_to_it = [request["messages"][0]["content"] for request in provider.requests("sees-some")]
    assert [len(parts) for parts in shown_to_it] == [2, 3]


@pytest.mark.any_database
async def test_built_in_model_sees_the_image(holdfast: RunningHoldfast) -> None:
    file_id = await store_file(holdfast.resources, PNG)

    run = await holdfast.until(
        await holdfast.run(await holdfast.assistant(SCRIPTED_MODEL), [text("Look!"), image(file_id)])
    )

    assert (await holdfast.texts(run))[-1] == "You said: Look! I see 1 image."


async def test_file_that_cannot_be_an_image_is_rejected(holdfast: RunningHoldfast) -> None:
    wrong = await holdfast.client.files.create(file=("photo.png", PNG), purpose="fine-tune")
    large = await store_file(holdfast.resources, b"\0" * (MAX_IMAGE_BYTES + 1))
    thread = await holdfast.client.beta.threads.create()
    path = f"/v1/threads/{thread.id}/messages"

    async with httpx.AsyncClient(base_url=holdfast.url, timeout=30) as http:
        of_purpose, of_size, unknown = [
            await http.post(path, json={"role": "user", "content": [image(file_id)]})
            for file_id in (wrong.id, large, "file-unknown")
        ]

    assert_error(
        of_purpose,
        400,
        f"The file {wrong.id} cannot be shown as an image: its purpose is 'fine-tune'. Supported purposes are: "
        "'vision', 'assistants', 'user_data', 'assistants_output'.",
        "content",
        "invalid_image",
    )
    assert_error(
        of_size,
        400,
        f"The file {large} cannot be shown as an image: it has 20971521 bytes. An image has at most 20971520.",
        "content",
        "invalid_image",
    )
    assert_error(unknown, 404, "No such File object: file-unknown", "id")
    assert (await holdfast.client.beta.threads.messages.list(thread.id)).data == []
