"""Vector stores, their files, batches and search, by the official SDK against a running server."""

from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError
from openai.types import VectorStore

from infra.database import files
from infra.database.file_tables import FILES
from infra.database.vector_store_tables import VECTOR_STORES
from models.ranking import KEYWORD_WEIGHT
from tests.holdfast import RunningHoldfast
from tests.searched_stores import fill
from tests.stored_files import store_file

LEAVE = "Employees get twenty-five days of paid vacation each year."
PARTS = "The replacement pump has part number AX-7731 and costs twelve euros."
COLOURS = "The office walls are painted in a light shade of green."
TEXTS = {"leave.md": LEAVE, "parts.txt": PARTS, "colours.html": COLOURS}
BATCH_ID = "vsfb_" + "0" * 32
STORE_ID = "vs_" + "0" * 32


def attributes(name: str, text: str) -> Any:
    return {"name": name, "length": len(text)}


async def filled(holdfast: RunningHoldfast) -> tuple[VectorStore, dict[str, str]]:
    """A store with a completed file for each of the three texts. Returns the ids of its files by their names."""
    store = await holdfast.client.vector_stores.create(name="Handbook")
    ids = {}
    for name, text in TEXTS.items():
        ids[name] = await store_file(holdfast.resources, text, name)
        await fill(holdfast, store.id, {ids[name]: text}, attributes=attributes(name, text))
    return store, ids


@pytest.mark.any_database
async def test_empty_store_has_every_key(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/vector_stores", json={})).json()

    assert created.pop("id").startswith("vs_")
    assert created.pop("created_at") == created.pop("last_active_at")
    assert created == {
        "object": "vector_store",
        "name": None,
        "description": None,
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "metadata": {},
    }


async def test_store_is_modified_listed_and_deleted(holdfast: RunningHoldfast) -> None:
    stores = holdfast.client.vector_stores
    created = await stores.create(name="A", metadata={"a": "1"}, expires_after={"anchor": "last_active_at", "days": 2})
    assert created.last_active_at is not None
    assert created.expires_at == created.last_active_at + 2 * 86_400

    modified = await stores.update(created.id, name=None, expires_after=None, metadata={"b": "2"})
    assert modified.to_dict() | {"name": None, "expires_after": None, "expires_at": None} == modified.to_dict()
    assert modified.metadata == {"a": "1", "b": "2"}
    assert (await stores.list(limit=1)).data[0].id == created.id
    deleted = await stores.delete(created.id)

    assert deleted.to_dict() == {"id": created.id, "object": "vector_store.deleted", "deleted": True}
    with pytest.raises(NotFoundError, match=f"No vector store found with id '{created.id}'."):
        await stores.retrieve(created.id)


@pytest.mark.any_database
async def test_poll_helpers_need_not_wait_for_a_second(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    store = await holdfast.client.vector_stores.create()
    file_id = await store_file(holdfast.resources, LEAVE, "leave.md")
    batch = await holdfast.client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[file_id])

    for polled in (f"files/{file_id}", f"file_batches/{batch.id}"):
        read = await http.get(f"/v1/vector_stores/{store.id}/{polled}")
        assert read.headers["openai-poll-after-ms"] == str(holdfast.resources.settings.poll_after_ms)


async def test_file_is_searchable_when_it_says_so(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create(name="Handbook")
    ids = {}
    for name, text in TEXTS.items():
        content = f"<p>{text}</p>" if name.endswith(".html") else text
        ids[name] = await store_file(holdfast.resources, content, name)
        file = await holdfast.client.vector_stores.files.create_and_poll(
            ids[name], vector_store_id=store.id, attributes=attributes(name, text)
        )
        assert (file.status, file.last_error) == ("completed", None)

    by_meaning = await holdfast.client.vector_stores.search(store.id, query="How much holiday do I have?")
    by_number = await holdfast.client.vector_stores.search(store.id, query="AX-7731", max_num_results=1)

    best = by_meaning.data[0]
    assert (best.file_id, best.filename, best.content[0].text) == (ids["leave.md"], "leave.md", LEAVE)
    assert best.attributes == {"name": "leave.md", "length": len(LEAVE)}
    assert 0 <= best.score <= 1
    assert [result.filename for result in by_number.data] == ["parts.txt"]
    found = await holdfast.client.vector_stores.retrieve(store.id)
    assert (found.file_counts.completed, found.status) == (3, "completed")
    assert found.usage_bytes > len(LEAVE + PARTS + COLOURS)


@pytest.mark.any_database
async def test_search_takes_several_queries_filters_and_a_threshold(holdfast: RunningHoldfast) -> None:
    store, _ = await filled(holdfast)
    search = holdfast.client.vector_stores.search

    several = await search(store.id, query=["paid vacation", "AX-7731"], max_num_results=2)
    filtered = await search(store.id, query="vacation", filters={"type": "eq", "key": "name", "value": "parts.txt"})
    none = await search(store.id, query="vacation", filters={"type": "eq", "key": "name", "value": "x"})
    ranked = await search(store.id, query="paid vacation")
    strict = await search(store.id, query="paid vacation", ranking_options={"score_threshold": ranked.data[1].score})
    vectors = await search(store.id, query="paid vacation", ranking_options={"ranker": "none"}, rewrite_query=False)

    assert {result.filename for result in several.data} == {"leave.md", "parts.txt"}
    assert [result.filename for result in filtered.data] == ["parts.txt"]
    assert none.data == []
    assert (len(ranked.data), strict.data) == (3, ranked.data[:2])
    # Without the keywords, of which the best chunk has nearly all and the others none, only the vectors' range counts.
    assert vectors.data[0].filename == ranked.data[0].filename == "leave.md"
    assert (vectors.data[0].score, vectors.data[-1].score) == (1.0, 0.0)
    assert vectors.data[1].score == pytest.approx(ranked.data[1].score * (1 + KEYWORD_WEIGHT))


@pytest.mark.any_database
async def test_file_can_be_read_changed_and_removed(holdfast: RunningHoldfast) -> None:
    store, ids = await filled(holdfast)
    files = holdfast.client.vector_stores.files
    file_id = ids["leave.md"]

    changed = await files.update(file_id, vector_store_id=store.id, attributes={"year": 2024})
    content = await files.content(file_id, vector_store_id=store.id)
    deleted = await files.delete(file_id, vector_store_id=store.id)

    assert changed.attributes == {"year": 2024}
    assert [part.text for part in content.data] == [LEAVE]
    assert deleted.to_dict() == {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
    with pytest.raises(NotFoundError, match=f"No file found with id '{file_id}' in vector store '{store.id}'."):
        await files.retrieve(file_id, vector_store_id=store.id)
    left = await holdfast.client.vector_stores.search(store.id, query=LEAVE)
    assert file_id not in {result.file_id for result in left.data}
    assert (await holdfast.client.vector_stores.retrieve(store.id)).file_counts.total == 2


@pytest.mark.any_database
async def test_content_of_overlapping_chunks_is_each_text_once(holdfast: RunningHoldfast) -> None:
    text = " ".join(f"Sentence number {number} says nothing new." for number in range(150))
    store = await holdfast.client.vector_stores.create()
    file_id = await store_file(holdfast.resources, text, "long.txt")
    file = await holdfast.client.vector_stores.files.create_and_poll(
        file_id,
        vector_store_id=store.id,
        chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}},
    )

    content = await holdfast.client.vector_stores.files.content(file_id, vector_store_id=store.id)

    assert file.chunking_strategy is not None
    assert file.chunking_strategy.to_dict() == {
        "type": "static",
        "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50},
    }
    assert len(content.data) > 3
    assert "".join(part.text or "" for part in content.data) == text


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("content", "filename", "code", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(50), "old.xls", "unsupported_file", "extension .xls"),
        (b"nonsense", "broken.pdf", "invalid_file", "damaged"),
    ],
)
async def test_file_without_text_fails_and_says_why(
    holdfast: RunningHoldfast, content: bytes, filename: str, code: str, message: str
) -> None:
    store = await holdfast.client.vector_stores.create()
    file_id = await store_file(holdfast.resources, content, filename)

    file = await holdfast.client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)

    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.code == code
    assert message in file.last_error.message
    failed = await holdfast.client.vector_stores.files.list(store.id, filter="failed")
    assert [each.id for each in failed.data] == [file_id]
    assert (await holdfast.client.vector_stores.retrieve(store.id)).file_counts.failed == 1
    content_page = await holdfast.client.vector_stores.files.content(file_id, vector_store_id=store.id)
    assert content_page.data == []


async def test_batch_is_polled_to_its_end(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create()
    good = [await store_file(holdfast.resources, text) for text in (LEAVE, PARTS, COLOURS)]
    bad = await store_file(holdfast.resources, b"nonsense", "broken.pdf")
    batches = holdfast.client.vector_stores.file_batches

    batch = await batches.create_and_poll(store.id, file_ids=[*good, bad, good[0]])

    assert batch.object in ("vector_store.file_batch", "vector_store.files_batch")
    assert (batch.status, batch.vector_store_id) == ("completed", store.id)
    assert batch.file_counts.to_dict() == {"in_progress": 0, "completed": 3, "failed": 1, "cancelled": 0, "total": 4}
    listed = await batches.list_files(batch.id, vector_store_id=store.id, order="asc")
    assert [file.id for file in listed.data] == [*good, bad]
    failed = await batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    assert [file.id for file in failed.data] == [bad]
    with pytest.raises(BadRequestError, match="Cannot cancel file batch with status 'completed'"):
        await batches.cancel(batch.id, vector_store_id=store.id)


@pytest.mark.any_database
async def test_batch_takes_attributes_for_each_file(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create()
    ids = [await store_file(holdfast.resources, text) for text in (LEAVE, PARTS)]
    body = {"files": [{"file_id": ids[0], "attributes": {"a": 1}}, {"file_id": ids[1]}]}

    created = await holdfast.client.vector_stores.file_batches.create(store.id, **body)  # type: ignore[arg-type]
    await holdfast.client.vector_stores.file_batches.poll(created.id, vector_store_id=store.id)

    filters: Any = {"type": "gte", "key": "a", "value": 1}
    found = await holdfast.client.vector_stores.search(store.id, query=PARTS, filters=filters)
    assert [result.file_id for result in found.data] == [ids[0]]


@pytest.mark.any_database
async def test_store_is_created_with_its_files(holdfast: RunningHoldfast) -> None:
    ids = [await store_file(holdfast.resources, text) for text in (LEAVE, PARTS)]

    store = await holdfast.client.vector_stores.create(file_ids=ids)

    assert (store.status, store.file_counts.total) == ("in_progress", 2)
    for file_id in ids:
        file = await holdfast.client.vector_stores.files.poll(file_id, vector_store_id=store.id)
        assert file.status == "completed"


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("path", "body", "status", "message", "param"),
    [
        (
            "/vector_stores/x",
            None,
            400,
            "Invalid 'vector_store_id': 'x'. Expected an ID that begins with 'vs'.",
            "vector_store_id",
        ),
        (
            f"/vector_stores/{STORE_ID}/files",
            {"file_id": "file-x"},
            404,
            f"No vector store found with id '{STORE_ID}'.",
            None,
        ),
        (
            f"/vector_stores/{STORE_ID}/search",
            {"query": "x"},
            404,
            f"No vector store found with id '{STORE_ID}'.",
            None,
        ),
        ("/vector_stores", {"x": 1}, 400, "Unknown parameter: 'x'.", "x"),
        ("/vector_stores", {"file_ids": ["file-x"]}, 404, "No such File object: file-x", "id"),
        (
            "/vector_stores",
            {"chunking_strategy": {"type": "auto"}},
            400,
            "'chunking_strategy' can only be given with 'file_ids'.",
            "chunking_strategy",
        ),
        (
            "/vector_stores",
            {"file_ids": [f"file-{n}" for n in range(501)]},
            400,
            "Invalid 'file_ids': array too long. Expected an array with maximum length 500, but got an array with "
            "length 501 instead.",
            "file_ids",
        ),
        (
            "/vector_stores",
            {"expires_after": {"anchor": "created_at", "days": 1}},
            400,
            "Invalid value: 'created_at'. Supported values are: 'last_active_at'.",
            "expires_after.anchor",
        ),
        (
            "/vector_stores",
            {"expires_after": {"anchor": "last_active_at", "days": 366}},
            400,
            "Invalid 'expires_after.days': integer above maximum value. Expected a value <= 365, but got 366 instead.",
            "expires_after.days",
        ),
        (
            f"/vector_stores/{STORE_ID}/file_batches",
            {},
            400,
            "Invalid 'file_ids': give exactly one of 'file_ids' and 'files'.",
            "file_ids",
        ),
        (
            f"/vector_stores/{STORE_ID}/files",
            {
                "file_id": "file-x",
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51},
                },
            },
            400,
            "Invalid 'chunking_strategy.static.chunk_overlap_tokens': the overlap must not exceed half of "
            "'max_chunk_size_tokens'.",
            "chunking_strategy.static.chunk_overlap_tokens",
        ),
        (
            f"/vector_stores/{STORE_ID}/files",
            {"file_id": "file-x", "attributes": {"a": []}},
            400,
            "Invalid type for 'attributes.a': expected one of a string, number, or boolean, but got an array instead.",
            "attributes.a",
        ),
        (
            f"/vector_stores/{STORE_ID}/files",
            {"file_id": "file-x", "attributes": {"a": "x" * 513}},
            400,
            "Invalid 'attributes.a': string too long. Expected a string with maximum length 512, but got a string with "
            "length 513 instead.",
            "attributes.a",
        ),
        (
            f"/vector_stores/{STORE_ID}/search",
            {"query": "x", "rewrite_query": True},
            400,
            "Query rewriting is not supported by this server: leave 'rewrite_query' out, or send false.",
            "rewrite_query",
        ),
        (
            f"/vector_stores/{STORE_ID}/search",
            {"query": "x", "max_num_results": 51},
            400,
            "Invalid 'max_num_results': integer above maximum value. Expected a value <= 50, but got 51 instead.",
            "max_num_results",
        ),
        (
            f"/vector_stores/{STORE_ID}/search",
            {"query": "x", "filters": {"type": "like", "key": "a", "value": "b"}},
            400,
            "Invalid value: 'like'. Supported values are: 'eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'nin', 'and', "
            "and 'or'.",
            "filters.type",
        ),
        (
            f"/vector_stores/{STORE_ID}/search",
            {"query": "x", "filters": {"type": "and", "filters": [{"type": "eq", "key": "a"}]}},
            400,
            "Missing required parameter: 'filters.filters[0].value'.",
            "filters.filters[0].value",
        ),
    ],
)
async def test_refused_requests(
    http: httpx.AsyncClient, path: str, body: Any, status: int, message: str, param: str | None
) -> None:
    response = await (http.get(f"/v1{path}") if body is None else http.post(f"/v1{path}", json=body))

    error = response.json()["error"]
    assert (response.status_code, error["message"], error["param"]) == (status, message, param)


@pytest.mark.any_database
async def test_filters_are_bounded_in_depth_and_number(http: httpx.AsyncClient) -> None:
    comparison: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    deep = comparison
    for _ in range(8):
        deep = {"type": "and", "filters": [deep]}
    wide = {"type": "or", "filters": [comparison] * 201}

    for filters, message in ((deep, "filters nest more than 8 deep"), (wide, "more than 200 comparisons")):
        response = await http.post(f"/v1/vector_stores/{STORE_ID}/search", json={"query": "x", "filters": filters})
        assert response.status_code == 400
        assert message in response.json()["error"]["message"]


@pytest.mark.any_database
async def test_unknown_batch_is_not_found(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create()

    with pytest.raises(NotFoundError, match=f"No file batch found with id '{BATCH_ID}'"):
        await holdfast.client.vector_stores.file_batches.retrieve(BATCH_ID, vector_store_id=store.id)


@pytest.mark.any_database
async def test_files_are_uploaded_and_polled(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create()

    file = await holdfast.client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("leave.md", LEAVE.encode())
    )
    batch = await holdfast.client.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("parts.txt", PARTS.encode()), ("colours.md", COLOURS.encode())]
    )

    assert (file.status, batch.status, batch.file_counts.completed) == ("completed", "completed", 2)
    await holdfast.client.files.delete(file.id)
    left = await holdfast.client.vector_stores.search(store.id, query=[LEAVE, PARTS])
    assert file.id not in {result.file_id for result in left.data}
    assert (await holdfast.client.vector_stores.retrieve(store.id)).file_counts.total == 2


@pytest.mark.any_database
async def test_search_keeps_a_store_from_expiring(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
    long_ago = store.created_at - 80_000
    await holdfast.resources.database.write(
        lambda connection: connection.execute(
            VECTOR_STORES.update()
            .where(VECTOR_STORES.c.id == store.id)
            .values(last_active_at=long_ago, expires_at=long_ago + 86_400)
        )
    )

    await holdfast.client.vector_stores.search(store.id, query="vacation")

    used = await holdfast.client.vector_stores.retrieve(store.id)
    assert used.last_active_at is not None
    assert used.last_active_at >= store.created_at
    assert used.expires_at == used.last_active_at + 86_400


@pytest.mark.any_database
async def test_files_of_the_sdk_expire_as_they_are_told(holdfast: RunningHoldfast) -> None:
    client = holdfast.client
    file = await client.files.create(
        file=("a.md", b"Hello."), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    upload = await client.uploads.create(
        filename="a.md",
        bytes=1,
        mime_type="text/markdown",
        purpose="assistants",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    part = await client.uploads.parts.create(upload.id, data=b"x")
    completed = await client.uploads.complete(upload.id, part_ids=[part.id])

    assert file.expires_at == file.created_at + 3600
    assert completed.file is not None
    assert completed.file.expires_at == completed.file.created_at + 7200


@pytest.mark.any_database
async def test_file_that_expires_leaves_its_stores(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create()
    file = await holdfast.client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("leave.md", LEAVE.encode())
    )
    await holdfast.resources.database.write(
        lambda connection: connection.execute(FILES.update().where(FILES.c.id == file.id).values(expires_at=1))
    )

    removed = await holdfast.resources.database.write(files.remove_expired, 100)

    assert file.id in removed
    found = await holdfast.client.vector_stores.search(store.id, query="vacation")
    assert found.data == []
    emptied = await holdfast.client.vector_stores.retrieve(store.id)
    assert (emptied.file_counts.total, emptied.usage_bytes) == (0, 0)
    with pytest.raises(NotFoundError):
        await holdfast.client.files.retrieve(file.id)
