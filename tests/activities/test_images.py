"""Prompts wait for each other where their images would be too large together."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities import images
from activities.images import Images
from infra.database import files
from infra.database.engine import open_database
from infra.database.files import StoredFile
from infra.database.migrations import migrate
from infra.object_store.directory import DirectoryObjectStore
from models.files import Purpose
from models.ids import new_file_id
from models.language_model import ImagePart
from models.messages import ImageFile
from models.stored_objects import KeyPrefix, object_key
from tests.infra.object_store.content import chunks

PROJECT = "project"
SIZE = 10

Found = tuple[Images, ImageFile]


@pytest.fixture
async def prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Found]:
    """Images of a worker that has room for two files at a time, and such a file."""
    monkeypatch.setattr(images, "MAX_BYTES_AT_A_TIME", 2 * SIZE)
    url = f"sqlite:///{tmp_path}/holdfast.db"
    await asyncio.to_thread(migrate, url)
    async with open_database(url) as database:
        stored = StoredFile(new_file_id(), "a.png", Purpose.VISION, SIZE)
        await database.write(files.create, PROJECT, stored)
        store = DirectoryObjectStore(tmp_path / "objects")
        await store.open()
        await store.put(object_key(KeyPrefix.FILE, stored.id), chunks(b"\x89PNG\r\n\x1a\n.."))
        yield Images(database, store), ImageFile(file_id=stored.id)


async def holding(found: Found, begun: asyncio.Event, end: asyncio.Event) -> None:
    shared, image = found
    async with shared.of_prompt(PROJECT) as prompt_images:
        await prompt_images.find([image])
        begun.set()
        await end.wait()


async def until_one_waits(found: Found) -> None:
    async with asyncio.timeout(10):
        while found[0].waiting == 0:
            await asyncio.sleep(0.01)


async def test_prompt_waits_for_memory(prompt: Found) -> None:
    begun, ends = [asyncio.Event() for _ in range(3)], [asyncio.Event() for _ in range(3)]
    first, second = (asyncio.create_task(holding(prompt, begun[each], ends[each])) for each in (0, 1))
    await asyncio.gather(begun[0].wait(), begun[1].wait())
    third = asyncio.create_task(holding(prompt, begun[2], ends[2]))
    await until_one_waits(prompt)

    first.cancel()

    async with asyncio.timeout(10):
        await begun[2].wait()
    for end in ends:
        end.set()
    await asyncio.gather(second, third)
    shared, image = prompt
    async with asyncio.timeout(10), shared.of_prompt(PROJECT) as prompt_images:
        await prompt_images.find([image, image])


async def test_cancelled_wait_takes_no_memory(prompt: Found) -> None:
    shared, image = prompt
    async with shared.of_prompt(PROJECT) as all_of_it:
        await all_of_it.find([image, image])
        waiting = asyncio.create_task(holding(prompt, asyncio.Event(), asyncio.Event()))
        await until_one_waits(prompt)
        waiting.cancel()

    async with asyncio.timeout(10), shared.of_prompt(PROJECT) as prompt_images:
        await prompt_images.find([image, image])


async def test_shorter_prompt_takes_no_more_memory_and_all_is_given_back(prompt: Found) -> None:
    shared, image = prompt
    async with asyncio.timeout(10), shared.of_prompt(PROJECT) as prompt_images:
        await prompt_images.find([image, image])
        before = await prompt_images.part(image)
        await prompt_images.find([image])
        shorter = await prompt_images.part(image)

    assert isinstance(before, ImagePart)
    assert isinstance(shorter, ImagePart)
    assert shorter.url is before.url
    async with asyncio.timeout(10), shared.of_prompt(PROJECT) as prompt_images:
        await prompt_images.find([image, image])
