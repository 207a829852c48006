"""Vector stores: create, list, read, change, delete, search."""

from tests.conformance.python_program.scenarios import (
    LEAVE,
    Sdk,
    equal,
    has,
    has_dated_id,
    is_page_of,
    operation,
)

NO_FILES = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}


@operation("vector_stores.create")
def create(sdk: Sdk) -> None:
    expiry = {"anchor": "last_active_at", "days": 2}

    store = sdk.vector_stores.create(name="Handbook", metadata={"team": "north"}, expires_after=expiry)

    has_dated_id(store, "vs")
    has(store, object="vector_store", name="Handbook", status="completed", usage_bytes=0, file_counts=NO_FILES)
    has(store, metadata={"team": "north"}, expires_after=expiry, expires_at=store.last_active_at + 2 * 86_400)


@operation("vector_stores.create_with_files")
def create_with_files(sdk: Sdk) -> None:
    file = sdk.file()

    store = sdk.vector_stores.create(name="Handbook", file_ids=[file.id])

    has(store, status="in_progress", file_counts=NO_FILES | {"in_progress": 1, "total": 1})
    sdk.vector_stores.files.poll(file.id, vector_store_id=store.id)
    completed = sdk.vector_stores.retrieve(store.id)
    has(completed, status="completed", file_counts=NO_FILES | {"completed": 1, "total": 1})
    equal(completed.usage_bytes > 0, True)


@operation("vector_stores.retrieve")
def retrieve(sdk: Sdk) -> None:
    created = sdk.store()

    equal(sdk.vector_stores.retrieve(created.id), created)


@operation("vector_stores.update")
def update(sdk: Sdk) -> None:
    created = sdk.vector_stores.create(name="Handbook", metadata={"team": "north"})

    updated = sdk.vector_stores.update(created.id, name="Rules", metadata={"team": "south"})

    has(updated, id=created.id, name="Rules", metadata={"team": "south"}, expires_after=None)
    equal(sdk.vector_stores.retrieve(created.id), updated)


@operation("vector_stores.list")
def list_(sdk: Sdk) -> None:
    first, second, third = (sdk.store() for _ in range(3))

    is_page_of(sdk.vector_stores.list(limit=2), third, second, has_more=True)
    is_page_of(sdk.vector_stores.list(order="asc", after=first.id), second, third, has_more=False)
    is_page_of(sdk.vector_stores.list(limit=1, before=second.id), third, has_more=False)


@operation("vector_stores.list_every_page")
def list_every_page(sdk: Sdk) -> None:
    first, *others = (sdk.store() for _ in range(6))

    found = [store.id for store in sdk.vector_stores.list(limit=2, order="asc", after=first.id)]

    equal(found, [store.id for store in others])


@operation("vector_stores.search")
def search(sdk: Sdk) -> None:
    leave, parts = sdk.chapters

    found = sdk.vector_stores.search(leave.vector_store_id, query="How much holiday do I have?")

    equal([result.file_id for result in found], [leave.id, parts.id])
    has(found.data[0], filename="page.md", attributes={"chapter": 1, "draft": False})
    has(found.data[0], content=[{"type": "text", "text": LEAVE}])
    equal(1 >= found.data[0].score > found.data[1].score >= 0, True)


@operation("vector_stores.search_with_filter")
def search_with_filter(sdk: Sdk) -> None:
    leave, _ = sdk.chapters

    found = sdk.vector_stores.search(
        leave.vector_store_id,
        query=["AX-4410/B", "Which part?"],
        max_num_results=5,
        filters={"type": "and", "filters": [{"type": "lt", "key": "chapter", "value": 2}]},
        ranking_options={"ranker": "auto", "score_threshold": 0},
    )

    equal([result.file_id for result in found], [leave.id])


@operation("vector_stores.delete")
def delete(sdk: Sdk) -> None:
    created = sdk.store()

    has(sdk.vector_stores.delete(created.id), id=created.id, object="vector_store.deleted", deleted=True)

    equal(created.id in [store.id for store in sdk.vector_stores.list(limit=100)], False)
