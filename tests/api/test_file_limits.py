"""Limits of files, uploads, vector stores and searches: one more than allowed is refused, by the words clients read."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.holdfast import RunningHoldfast
from tests.stored_files import store_file

pytestmark = pytest.mark.any_database

STORE = "/v1/vector_stores/vs_" + "0" * 32
UPLOAD = {"filename": "a.md", "purpose": "assistants", "bytes": 3, "mime_type": "text/plain"}
STATIC = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 0}


def too_long(param: str, most: int, got: int, kind: str = "array") -> str:
    a = "an array" if kind == "array" else "a string"
    return (
        f"Invalid '{param}': {kind} too long. Expected {a} with maximum length {most}, but got {a} with length {got} "
        "instead."
    )


def above(param: str, most: int, got: int) -> str:
    return f"Invalid '{param}': integer above maximum value. Expected a value <= {most}, but got {got} instead."


def below(param: str, least: int, got: int) -> str:
    return f"Invalid '{param}': integer below minimum value. Expected a value >= {least}, but got {got} instead."


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/uploads", UPLOAD | {"filename": "x" * 513}, too_long("filename", 512, 513, "string")),
        ("/v1/uploads", UPLOAD | {"bytes": 8 * 1024**3 + 1}, above("bytes", 8 * 1024**3, 8 * 1024**3 + 1)),
        (
            "/v1/uploads",
            UPLOAD | {"expires_after": {"anchor": "created_at", "seconds": 2_592_001}},
            above("expires_after.seconds", 2_592_000, 2_592_001),
        ),
        (
            "/v1/uploads/upload_" + "0" * 32 + "/complete",
            {"part_ids": [f"part_{number}" for number in range(10_001)]},
            too_long("part_ids", 10_000, 10_001),
        ),
        (
            "/v1/vector_stores",
            {"file_ids": [f"file-{number}" for number in range(501)]},
            too_long("file_ids", 500, 501),
        ),
        (
            f"{STORE}/file_batches",
            {"file_ids": [f"file-{number}" for number in range(2001)]},
            too_long("file_ids", 2000, 2001),
        ),
        (
            f"{STORE}/file_batches",
            {"files": [{"file_id": f"file-{number}"} for number in range(2001)]},
            too_long("files", 2000, 2001),
        ),
        (
            f"{STORE}/files",
            {"file_id": "file-x", "attributes": {f"key {number}": number for number in range(17)}},
            "Invalid 'attributes': too many properties. Expected an object with at most 16 properties, but got an "
            "object with 17 properties instead.",
        ),
        (
            f"{STORE}/files",
            {"file_id": "file-x", "attributes": {"a": "x" * 513}},
            too_long("attributes.a", 512, 513, "string"),
        ),
        (
            f"{STORE}/files",
            {
                "file_id": "file-x",
                "chunking_strategy": {"type": "static", "static": STATIC | {"max_chunk_size_tokens": 4097}},
            },
            above("chunking_strategy.static.max_chunk_size_tokens", 4096, 4097),
        ),
        (
            f"{STORE}/files",
            {
                "file_id": "file-x",
                "chunking_strategy": {"type": "static", "static": STATIC | {"max_chunk_size_tokens": 99}},
            },
            below("chunking_strategy.static.max_chunk_size_tokens", 100, 99),
        ),
        (f"{STORE}/search", {"query": ["x"] * 17}, too_long("query", 16, 17)),
        (f"{STORE}/search", {"query": ["x" * 4097]}, too_long("query[0]", 4096, 4097, "string")),
        (f"{STORE}/search", {"query": "x", "max_num_results": 51}, above("max_num_results", 50, 51)),
        (
            f"{STORE}/search",
            {"query": "x", "filters": {"type": "in", "key": "a", "value": list(range(257))}},
            "Invalid 'filters.value': 'in' takes an array of at most 256 values.",
        ),
    ],
)
async def test_one_more_than_allowed_is_refused(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], message: str
) -> None:
    response = await http.post(path, json=body)

    assert (response.status_code, response.json()["error"]["message"]) == (400, message)


async def test_key_of_an_attribute_is_limited(http: httpx.AsyncClient) -> None:
    key = "k." + "k" * 63

    response = await http.post(f"{STORE}/files", json={"file_id": "file-x", "attributes": {key: 1}})

    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, f"attributes.{key}")
    assert error["message"] == (
        f"Invalid property name in 'attributes': '{key}' is too long. Expected a string with maximum length 64, but "
        "got a string with length 65 instead."
    )


async def test_page_of_files_is_limited(http: httpx.AsyncClient) -> None:
    allowed, refused = [await http.get("/v1/files", params={"limit": limit}) for limit in (10_000, 10_001)]

    assert allowed.status_code == 200
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, above("limit", 10_000, 10_001))


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_UPLOAD_BYTES", 5, "The parts of an upload have at most 5 bytes together."),
        ("MAX_PARTS", 1, "An upload has at most 1 parts."),
    ],
)
async def test_parts_of_an_upload_are_limited_together(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    monkeypatch.setattr(f"infra.database.uploads.{limit}", value)
    upload = (await http.post("/v1/uploads", json=UPLOAD)).json()
    path = f"/v1/uploads/{upload['id']}/parts"

    allowed, refused = [await http.post(path, files={"data": ("a", b"123")}) for _ in range(2)]

    assert allowed.status_code == 200
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, "data", "upload_too_large")
    assert error["message"] == message


async def test_files_of_a_store_are_limited(holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.database.vector_store_additions.MAX_FILES_OF_STORE", 1)
    ids = [await store_file(holdfast.resources, "Some text.") for _ in range(2)]
    store = await holdfast.client.vector_stores.create(file_ids=ids[:1])

    async with httpx.AsyncClient(base_url=holdfast.url) as http:
        refused = await http.post(f"/v1/vector_stores/{store.id}/files", json={"file_id": ids[1]})

    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == (
        "A vector store holds at most 1 files. Delete some, or add them to a new vector store."
    )
    assert (await holdfast.client.vector_stores.retrieve(store.id)).file_counts.total == 1


async def test_time_of_an_upload_is_limited(holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends the beginning of a form, and no more."""
    monkeypatch.setattr("api.received_files.TIME_LIMIT", timedelta(milliseconds=50))
    monkeypatch.setattr("api.multipart.MAX_SILENCE", timedelta(milliseconds=50))
    address = urlsplit(holdfast.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n"
        b"content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    )

    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}}")
    writer.close()

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"The upload took more than 0 minutes. Send the file in parts, with /v1/uploads." in body
