"""Messages: create, list, read, change, delete."""

from typing import Any

from tests.conformance.python_program.scenarios import Sdk, equal, has, has_id, is_page_of, operation


@operation("messages.create")
def create(sdk: Sdk) -> None:
    thread = sdk.threads.create()

    message = sdk.messages.create(thread.id, role="user", content="Hello", metadata={"place": "1"})

    has_id(message, "msg")
    has(message, object="thread.message", thread_id=thread.id, role="user", metadata={"place": "1"})
    has(message, content=[text_part("Hello")])
    has(message, assistant_id=None, run_id=None, attachments=[])
    has(sdk.messages.create(thread.id, role="assistant", content="Hi"), role="assistant", assistant_id=None)


@operation("messages.create_from_parts")
def create_from_parts(sdk: Sdk) -> None:
    parts = [{"type": "text", "text": text} for text in ("What is this?", "And that?")]

    message = sdk.messages.create(sdk.threads.create().id, role="user", content=parts)

    has(message, content=[text_part("What is this?"), text_part("And that?")])


@operation("messages.create_with_image_url")
def create_with_image_url(sdk: Sdk) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    parts: list[dict[str, Any]] = [{"type": "text", "text": "What is this?"}, image]

    message = sdk.messages.create(sdk.threads.create().id, role="user", content=parts)

    has(message, content=[text_part("What is this?"), image])


@operation("messages.list")
def list_(sdk: Sdk) -> None:
    thread = sdk.threads.create()
    empty = sdk.messages.list(thread.id)
    has(empty, object="list", data=[], first_id=None, last_id=None, has_more=False)

    first, second, third = (sdk.messages.create(thread.id, role="user", content=text) for text in "abc")

    is_page_of(sdk.messages.list(thread.id), third, second, first, has_more=False)
    is_page_of(sdk.messages.list(thread.id, order="desc", limit=2), third, second, has_more=True)
    is_page_of(sdk.messages.list(thread.id, order="asc", limit=2), first, second, has_more=True)
    is_page_of(sdk.messages.list(thread.id, order="asc", limit=3), first, second, third, has_more=False)


@operation("messages.list_around_cursor")
def list_around_cursor(sdk: Sdk) -> None:
    thread = sdk.threads.create()
    first, second, third, fourth = (sdk.messages.create(thread.id, role="user", content=text) for text in "abcd")

    is_page_of(sdk.messages.list(thread.id, order="asc", after=second.id), third, fourth, has_more=False)
    is_page_of(sdk.messages.list(thread.id, order="desc", after=second.id), first, has_more=False)
    is_page_of(sdk.messages.list(thread.id, order="asc", before=third.id), first, second, has_more=False)
    is_page_of(sdk.messages.list(thread.id, order="desc", before=third.id), fourth, has_more=False)
    is_page_of(
        sdk.messages.list(thread.id, order="asc", after=first.id, before=fourth.id), second, third, has_more=False
    )


@operation("messages.list_of_run")
def list_of_run(sdk: Sdk) -> None:
    run = sdk.completed_run

    [answer] = sdk.messages.list(run.thread_id, run_id=run.id).data

    has(answer, role="assistant", run_id=run.id, assistant_id=run.assistant_id, status="completed")
    has(answer, content=[text_part("You said: Hello")])


@operation("messages.list_every_page")
def list_every_page(sdk: Sdk) -> None:
    thread = sdk.thread(*"abcde")

    found = [message.content[0].text.value for message in sdk.messages.list(thread.id, limit=2)]

    equal(found, list("edcba"))


@operation("messages.retrieve")
def retrieve(sdk: Sdk) -> None:
    thread = sdk.threads.create()
    created = sdk.messages.create(thread.id, role="user", content="Hello")

    equal(sdk.messages.retrieve(created.id, thread_id=thread.id), created)


@operation("messages.update")
def update(sdk: Sdk) -> None:
    thread = sdk.threads.create()
    created = sdk.messages.create(thread.id, role="user", content="Hello")

    updated = sdk.messages.update(created.id, thread_id=thread.id, metadata={"seen": "yes"})

    has(updated, id=created.id, created_at=created.created_at, metadata={"seen": "yes"})
    equal(sdk.messages.retrieve(created.id, thread_id=thread.id), updated)


@operation("messages.delete")
def delete(sdk: Sdk) -> None:
    thread = sdk.thread("Hello", "Goodbye")
    goodbye, hello = sdk.messages.list(thread.id).data

    deleted = sdk.messages.delete(hello.id, thread_id=thread.id)

    has(deleted, id=hello.id, object="thread.message.deleted", deleted=True)
    is_page_of(sdk.messages.list(thread.id), goodbye, has_more=False)


def text_part(value: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": value, "annotations": []}}
