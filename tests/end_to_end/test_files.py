"""Files and uploads through the official SDK, on a folder and on S3."""

import hashlib
import io
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from models.files import MEBIBYTE
from tests.api.test_files import FORM_TYPE, field, file_part, form
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider
from tests.s3 import S3, S3Server

# No part of it is like another, so that their order counts.
CONTENT = array("I", range(200_000)).tobytes()
LARGE_BYTES = 64 * MEBIBYTE
MAX_GROWTH_BYTES = 24 * MEBIBYTE
CHUNK_BYTES = 256 * 1024


@pytest.fixture(scope="module", params=["directory", S3])
async def running(
    request: pytest.FixtureRequest,
    temporal_port: int,
    provider: ScriptedProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningHoldfast]:
    url = ""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        url = server.url("end-to-end")
    folder = tmp_path_factory.mktemp("holdfast")
    settings = settings_for(folder, temporal_port, provider, object_store_url=url)
    async with running_holdfast(settings, with_worker=False) as opened:
        yield opened


@pytest.fixture
def client(running: RunningHoldfast) -> AsyncOpenAI:
    return running.client


async def test_files_as_the_sdk_sends_them(client: AsyncOpenAI) -> None:
    named = await client.files.create(file=('naïve 日本 "q".bin', CONTENT), purpose="vision")
    nameless = await client.files.create(
        file=CONTENT, purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    opened = await client.files.create(file=io.BytesIO(b"x"), purpose="assistants")

    listed = [each.id async for each in client.files.list(limit=2)]
    vision = [each.id async for each in client.files.list(purpose="vision", order="asc")]
    content = await client.files.content(named.id)
    processed = await client.files.wait_for_processing(named.id)

    assert (named.filename, named.bytes, named.purpose) == ('naïve 日本 "q".bin', len(CONTENT), "vision")
    assert (nameless.filename, nameless.expires_at) == ("upload", nameless.created_at + 3600)
    assert listed[:3] == [opened.id, nameless.id, named.id]
    assert vision == [named.id]
    assert content.content == CONTENT
    assert processed.status == "processed"
    with pytest.raises(BadRequestError, match="Not allowed to download files of purpose: assistants"):
        await client.files.content(opened.id)

    for file in (named, nameless, opened):
        deleted = await client.files.delete(file.id)
        assert (deleted.id, deleted.object, deleted.deleted) == (file.id, "file", True)
    with pytest.raises(NotFoundError, match="No such File object"):
        await client.files.retrieve(named.id)


async def test_uploads_as_the_sdk_sends_them(client: AsyncOpenAI, tmp_path: Path) -> None:
    digest = hashlib.md5(CONTENT).hexdigest()
    path = tmp_path / "large.bin"
    path.write_bytes(CONTENT)

    chunked = await client.uploads.upload_file_chunked(
        file=path, mime_type="application/octet-stream", purpose="vision", part_size=300_000, md5=digest
    )
    upload = await client.uploads.create(filename="b", purpose="vision", bytes=2, mime_type="text/plain")
    parts = [await client.uploads.parts.create(upload.id, data=data) for data in (b"2", b"1")]
    completed = await client.uploads.complete(upload.id, part_ids=[parts[1].id, parts[0].id])
    cancelled = await client.uploads.cancel(
        (await client.uploads.create(filename="c", purpose="vision", bytes=2, mime_type="text/plain")).id
    )

    assert chunked.status == "completed"
    assert chunked.file is not None
    assert completed.file is not None
    assert chunked.file.filename == "large.bin"
    assert (await client.files.content(chunked.file.id)).content == CONTENT
    assert (await client.files.content(completed.file.id)).content == b"12"
    assert cancelled.status == "cancelled"


@pytest.mark.usefixtures("collected")
async def test_memory_does_not_grow_with_a_file(running: RunningHoldfast) -> None:
    """Measured in this process, which is client and server at once."""
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
        # What the first use of everything takes stays.
        warm_up = await up_and_down(http, 8 * MEBIBYTE)
        largest = await up_and_down(http, LARGE_BYTES)

    assert largest - warm_up < MAX_GROWTH_BYTES


async def up_and_down(http: httpx.AsyncClient, size: int) -> int:
    """Returns the most memory that this process had."""
    process = psutil.Process()
    most = 0
    head, tail = form(field("purpose", "vision"), file_part(b"|")).split(b"|")

    async def body() -> AsyncGenerator[bytes, None]:
        nonlocal most
        yield head
        for _ in range(size // CHUNK_BYTES):
            yield bytes(CHUNK_BYTES)
            most = max(most, process.memory_info().rss)
        yield tail

    file = (await http.post("/v1/files", content=body(), headers=FORM_TYPE)).json()
    received = 0
    async with http.stream("GET", f"/v1/files/{file['id']}/content") as answer:
        async for chunk in answer.aiter_raw():
            received += len(chunk)
            most = max(most, process.memory_info().rss)
    assert (file["bytes"], received) == (size, size)
    return most
