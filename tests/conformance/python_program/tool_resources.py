"""Tool resources of assistants and threads: vector stores by id, and stores that are created with their owner."""

from typing import Any

from tests.conformance.python_program.scenarios import MODEL, Sdk, equal, operation

SEARCH = {"type": "file_search"}


@operation("tool_resources.of_assistant")
def of_assistant(sdk: Sdk) -> None:
    first, second = sdk.store(), sdk.store()

    created = sdk.assistants.create(model=MODEL, tools=[SEARCH], tool_resources=by_id(first))
    changed = sdk.assistants.update(created.id, tool_resources=by_id(second))

    equal(store_ids(created), [first.id])
    equal(store_ids(changed), [second.id])


@operation("tool_resources.store_of_new_assistant")
def store_of_new_assistant(sdk: Sdk) -> None:
    file = sdk.file()

    assistant = sdk.assistants.create(model=MODEL, tools=[SEARCH], tool_resources=with_store(file))

    equal([each.id for each in sdk.vector_stores.files.list(store_ids(assistant)[0])], [file.id])


@operation("tool_resources.of_thread")
def of_thread(sdk: Sdk) -> None:
    first, second = sdk.store(), sdk.store()

    created = sdk.threads.create(tool_resources=by_id(first))
    changed = sdk.threads.update(created.id, tool_resources=by_id(second))

    equal(store_ids(created), [first.id])
    equal(store_ids(changed), [second.id])


@operation("tool_resources.store_of_new_thread")
def store_of_new_thread(sdk: Sdk) -> None:
    file = sdk.file()

    thread = sdk.threads.create(tool_resources=with_store(file))

    store = sdk.vector_stores.retrieve(store_ids(thread)[0])
    equal((store.name, store.file_counts.total, store.expires_after.days), (None, 1, 7))


def by_id(store: Any) -> dict[str, Any]:
    return {"file_search": {"vector_store_ids": [store.id]}}


def with_store(file: Any) -> dict[str, Any]:
    return {"file_search": {"vector_stores": [{"file_ids": [file.id]}]}}


def store_ids(owner: Any) -> list[str]:
    return list(owner.tool_resources.file_search.vector_store_ids)
