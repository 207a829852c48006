"""Files of vector stores: add, list, read, change, remove."""

from tests.conformance.python_program.scenarios import LEAVE, PARTS, Sdk, equal, has, is_page_of, operation


@operation("vector_store_files.create")
def create(sdk: Sdk) -> None:
    store, file = sdk.store(), sdk.file()

    added = sdk.vector_stores.files.create(store.id, file_id=file.id)

    has(added, id=file.id, object="vector_store.file", vector_store_id=store.id, status="in_progress", last_error=None)
    equal(sdk.vector_stores.files.poll(file.id, vector_store_id=store.id).status, "completed")


@operation("vector_store_files.create_with_attributes")
def create_with_attributes(sdk: Sdk) -> None:
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    attributes = {"chapter": 1, "title": "Leave", "draft": False, "weight": 0.5}

    added = sdk.vector_stores.files.create(
        sdk.store().id, file_id=sdk.file().id, attributes=attributes, chunking_strategy=strategy
    )

    has(added, attributes=attributes, chunking_strategy=strategy)


@operation("vector_store_files.create_and_poll")
def create_and_poll(sdk: Sdk) -> None:
    store, file = sdk.store(), sdk.file()

    added = sdk.vector_stores.files.create_and_poll(vector_store_id=store.id, file_id=file.id)

    has(added, id=file.id, vector_store_id=store.id, status="completed", last_error=None)
    equal(added.usage_bytes > 0, True)


@operation("vector_store_files.upload_and_poll")
def upload_and_poll(sdk: Sdk) -> None:
    store = sdk.store()

    added = sdk.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("leave.md", LEAVE.encode()))

    has(added, vector_store_id=store.id, status="completed")
    has(sdk.files.retrieve(added.id), filename="leave.md", purpose="assistants")


@operation("vector_store_files.retrieve")
def retrieve(sdk: Sdk) -> None:
    added = sdk.leave

    equal(sdk.vector_stores.files.retrieve(added.id, vector_store_id=added.vector_store_id), added)


@operation("vector_store_files.list")
def list_(sdk: Sdk) -> None:
    store = sdk.store()
    first, second = sdk.stored_file(store, LEAVE), sdk.stored_file(store, PARTS)
    files = sdk.vector_stores.files

    is_page_of(files.list(store.id), second, first, has_more=False)
    is_page_of(files.list(store.id, order="asc", limit=1), first, has_more=True)
    is_page_of(files.list(store.id, order="asc", after=first.id, filter="completed"), second, has_more=False)
    equal(files.list(store.id, filter="failed").data, [])


@operation("vector_store_files.update")
def update(sdk: Sdk) -> None:
    store = sdk.store()
    added = sdk.stored_file(store, attributes={"chapter": 1})

    updated = sdk.vector_stores.files.update(added.id, vector_store_id=store.id, attributes={"title": "Leave"})

    has(updated, id=added.id, attributes={"title": "Leave"}, status="completed")
    equal(sdk.vector_stores.files.retrieve(added.id, vector_store_id=store.id), updated)


@operation("vector_store_files.content")
def content(sdk: Sdk) -> None:
    added = sdk.leave

    found = sdk.vector_stores.files.content(added.id, vector_store_id=added.vector_store_id)

    equal([(part.type, part.text) for part in found], [("text", LEAVE)])


@operation("vector_store_files.delete")
def delete(sdk: Sdk) -> None:
    store = sdk.store()
    added = sdk.stored_file(store)

    removed = sdk.vector_stores.files.delete(added.id, vector_store_id=store.id)

    has(removed, id=added.id, object="vector_store.file.deleted", deleted=True)
    equal(sdk.vector_stores.files.list(store.id).data, [])
    equal(sdk.files.retrieve(added.id).id, added.id)
