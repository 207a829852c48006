"""Threads: create, read, change, delete, and create together with a run."""

from typing import Any

from tests.conformance.python_program.scenarios import MODEL, Sdk, equal, has, has_id, operation, thread_of


@operation("threads.create")
def create(sdk: Sdk) -> None:
    bare = sdk.threads.create()
    has_id(bare, "thread")
    has(bare, object="thread", metadata={})

    has(sdk.threads.create(metadata={"user": "u1"}), metadata={"user": "u1"})


@operation("threads.create_with_messages")
def create_with_messages(sdk: Sdk) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "First", "metadata": {"place": "1"}},
        {"role": "assistant", "content": "Second"},
        {"role": "user", "content": [{"type": "text", "text": "Third"}]},
    ]

    thread = sdk.threads.create(messages=messages, metadata={"user": "u1"})

    has(thread, metadata={"user": "u1"})
    found = sdk.messages.list(thread.id, order="asc").data
    equal([message.role for message in found], ["user", "assistant", "user"])
    equal([message.content[0].text.value for message in found], ["First", "Second", "Third"])
    equal(found[0].metadata, {"place": "1"})


@operation("threads.retrieve")
def retrieve(sdk: Sdk) -> None:
    created = sdk.threads.create(metadata={"user": "u1"})

    equal(sdk.threads.retrieve(created.id), created)


@operation("threads.update")
def update(sdk: Sdk) -> None:
    created = sdk.thread("Hello")

    updated = sdk.threads.update(created.id, metadata={"user": "u2"})

    has(updated, id=created.id, created_at=created.created_at, metadata={"user": "u2"})
    equal(sdk.threads.retrieve(created.id), updated)


@operation("threads.delete")
def delete(sdk: Sdk) -> None:
    created = sdk.thread("Hello")

    has(sdk.threads.delete(created.id), id=created.id, object="thread.deleted", deleted=True)


@operation("threads.create_and_run")
def create_and_run(sdk: Sdk) -> None:
    assistant = sdk.assistant()

    run = sdk.threads.create_and_run(assistant_id=assistant.id, thread=thread_of("Hello"), metadata={"ticket": "7"})

    has_id(run, "run")
    has_id(sdk.threads.retrieve(run.thread_id), "thread")
    has(run, object="thread.run", status="queued", assistant_id=assistant.id, model=MODEL, metadata={"ticket": "7"})
    equal(sdk.runs.poll(run.id, thread_id=run.thread_id).status, "completed")


@operation("threads.create_and_run_poll")
def create_and_run_poll(sdk: Sdk) -> None:
    run = sdk.threads.create_and_run_poll(assistant_id=sdk.assistant().id, thread=thread_of("Hello"))

    has(run, status="completed", required_action=None, last_error=None, expires_at=None)
    equal(sdk.texts(run.thread_id), ["Hello", "You said: Hello"])
