"""Files of messages: attached for tools, and shown as images."""

from typing import Any

import openai

from tests.conformance.python_program.scenarios import MODEL, Sdk, equal, has, operation, refused

FOR_SEARCH: dict[str, Any] = {"type": "file_search"}
FOR_INTERPRETER: dict[str, Any] = {"type": "code_interpreter"}
PNG = b"\x89PNG\r\n\x1a\nimage"


@operation("attachments.of_message")
def of_message(sdk: Sdk) -> None:
    thread, file = sdk.threads.create(), sdk.file()

    message = sdk.messages.create(thread.id, **message_with(file, FOR_SEARCH))

    has(message, attachments=[{"file_id": file.id, "tools": [FOR_SEARCH]}])
    equal(sdk.messages.retrieve(message.id, thread_id=thread.id), message)
    equal(searchable(sdk, thread), [file.id])


@operation("attachments.for_both_tools")
def for_both_tools(sdk: Sdk) -> None:
    thread, file = sdk.threads.create(), sdk.file()

    sdk.messages.create(thread.id, **message_with(file, FOR_SEARCH, FOR_INTERPRETER))

    equal(searchable(sdk, thread), [file.id])
    equal(sdk.threads.retrieve(thread.id).tool_resources.code_interpreter.file_ids, [file.id])


@operation("attachments.of_new_thread")
def of_new_thread(sdk: Sdk) -> None:
    first, second = sdk.file(), sdk.file()

    thread = sdk.threads.create(messages=[message_with(each, FOR_SEARCH) for each in (first, second)])

    equal(searchable(sdk, thread), [first.id, second.id])


@operation("attachments.of_additional_message")
def of_additional_message(sdk: Sdk) -> None:
    thread, file = sdk.threads.create(), sdk.file()

    run = sdk.runs.create(
        thread.id, assistant_id=sdk.assistant().id, additional_messages=[message_with(file, FOR_SEARCH)]
    )

    equal(sdk.runs.poll(run.id, thread_id=thread.id).status, "completed")
    equal(searchable(sdk, thread), [file.id])


@operation("attachments.searched_by_run")
def searched_by_run(sdk: Sdk) -> None:
    file = sdk.file()
    assistant = sdk.assistants.create(model=MODEL, tools=[FOR_SEARCH])
    thread = {"messages": [message_with(file, FOR_SEARCH)]}

    run = sdk.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread)

    equal(run.status, "completed")
    steps = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    (call,) = steps[0].step_details.model_dump()["tool_calls"]
    equal(call["type"], "file_search")
    equal([result["file_id"] for result in call["file_search"]["results"]], [file.id])


@operation("attachments.image_file")
def image_file(sdk: Sdk) -> None:
    file = sdk.files.create(file=("photo.png", PNG), purpose="assistants")
    content = [{"type": "text", "text": "Look!"}, {"type": "image_file", "image_file": {"file_id": file.id}}]
    thread = sdk.threads.create(messages=[{"role": "user", "content": content}])

    run = sdk.runs.create_and_poll(thread_id=thread.id, assistant_id=sdk.assistant().id)

    equal(run.status, "completed")
    answer, message = sdk.messages.list(thread.id).data
    equal(message.content[1].image_file.file_id, file.id)
    equal(answer.content[0].text.value, "You said: Look! I see 1 image.")


@operation("attachments.missing_file")
def missing_file(sdk: Sdk) -> None:
    thread = sdk.threads.create()
    attachment = {"file_id": "file-missing", "tools": [FOR_SEARCH]}

    refused(
        lambda: sdk.messages.create(thread.id, role="user", content="Hello", attachments=[attachment]),
        openai.NotFoundError,
        "No such File object: file-missing",
        param="id",
    )
    equal(sdk.messages.list(thread.id).data, [])


def message_with(file: Any, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": "vacation", "attachments": [{"file_id": file.id, "tools": list(tools)}]}


def searchable(sdk: Sdk, thread: Any) -> list[str]:
    """The files in the thread's vector store, oldest first."""
    (store_id,) = sdk.threads.retrieve(thread.id).tool_resources.file_search.vector_store_ids
    return [file.id for file in sdk.vector_stores.files.list(store_id, order="asc")]
