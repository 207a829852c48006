"""Batches of files that are added to a vector store together."""

from tests.conformance.python_program.scenarios import (
    Sdk,
    equal,
    has,
    has_dated_id,
    is_page_of,
    operation,
)

# Its ingestion takes longer than a request.
LONG = "\n".join(f"On day {day} the office in street {day * 7} is closed." for day in range(5000))


@operation("file_batches.create")
def create(sdk: Sdk) -> None:
    store, file = sdk.store(), sdk.file()

    batch = sdk.vector_stores.file_batches.create(store.id, file_ids=[file.id])

    has_dated_id(batch, "vsfb")
    has(batch, object="vector_store.file_batch", vector_store_id=store.id, status="in_progress")
    has(batch, file_counts={"in_progress": 1, "completed": 0, "failed": 0, "cancelled": 0, "total": 1})


@operation("file_batches.create_and_poll")
def create_and_poll(sdk: Sdk) -> None:
    has(
        sdk.completed_batch,
        status="completed",
        file_counts={"in_progress": 0, "completed": 2, "failed": 0, "cancelled": 0, "total": 2},
    )


@operation("file_batches.retrieve")
def retrieve(sdk: Sdk) -> None:
    batch = sdk.completed_batch

    equal(sdk.vector_stores.file_batches.retrieve(batch.id, vector_store_id=batch.vector_store_id), batch)


@operation("file_batches.list_files")
def list_files(sdk: Sdk) -> None:
    batch = sdk.completed_batch
    store_id = batch.vector_store_id
    first, second = sdk.vector_stores.files.list(store_id, order="asc").data
    later = sdk.file()
    sdk.vector_stores.files.create(store_id, file_id=later.id)

    batches = sdk.vector_stores.file_batches
    page = batches.list_files(batch.id, vector_store_id=store_id, order="asc", filter="completed")
    is_page_of(page, first, second, has_more=False)
    is_page_of(batches.list_files(batch.id, vector_store_id=store_id, limit=1), second, has_more=True)


@operation("file_batches.cancel")
def cancel(sdk: Sdk) -> None:
    store, file = sdk.store(), sdk.file(LONG)
    batch = sdk.vector_stores.file_batches.create(store.id, file_ids=[file.id])

    cancelled = sdk.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)

    has(cancelled, id=batch.id, status="cancelled")
    equal(sdk.vector_stores.files.poll(file.id, vector_store_id=store.id).status, "cancelled")
