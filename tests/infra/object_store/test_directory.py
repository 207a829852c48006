"""What only a folder of objects has: paths, temporary files, a disk."""

import os
import stat
import time
from pathlib import Path

import pytest

from infra.object_store.directory import ABANDONED_AFTER, INCOMING, DirectoryObjectStore
from infra.object_store.errors import ObjectStoreUnavailable
from tests.infra.object_store.content import broken, chunks, read


class SourceFailed(Exception):
    pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", ".incoming/x", "a/.b", "a\0b", "a\n"])
async def test_refuses_keys_that_lead_elsewhere(directory: DirectoryObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await directory.put(key, chunks(b"x"))
    with pytest.raises(ValueError, match="not a key"):
        await anext(directory.get(key))


async def test_lists_keys_in_the_order_of_s3(directory: DirectoryObjectStore) -> None:
    stored = sorted(["a/x", "a-b", "a/y/z", "b", "A/x", "a.c/x", "aa/x"])
    for key in stored:
        await directory.put(key, chunks(b"content"))

    assert [each.key for each in await directory.list_page("", 100)] == stored
    for index, key in enumerate(stored):
        assert [each.key for each in await directory.list_page(key, 100)] == stored[index + 1 :]


async def test_leaves_no_temporary_file(directory: DirectoryObjectStore, root: Path) -> None:
    await directory.put("a/b", chunks(b"content"))
    with pytest.raises(SourceFailed):
        await directory.put("a/c", broken(b"content", SourceFailed()))

    assert list((root / INCOMING).iterdir()) == []
    assert [path.name for path in (root / "a").iterdir()] == ["b"]


async def test_opening_removes_what_killed_processes_left(directory: DirectoryObjectStore, root: Path) -> None:
    abandoned, under_way = root / INCOMING / "abandoned", root / INCOMING / "under-way"
    for file in (abandoned, under_way):
        file.write_bytes(b"x")
    long_ago = time.time() - ABANDONED_AFTER.total_seconds() - 1
    os.utime(abandoned, (long_ago, long_ago))

    await DirectoryObjectStore(root).open()

    assert list((root / INCOMING).iterdir()) == [under_way]


async def test_only_its_owner_may_read_it(directory: DirectoryObjectStore, root: Path) -> None:
    await directory.put("a/b", chunks(b"content"))

    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o700


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)


async def test_a_full_disk_is_an_outage(directory: DirectoryObjectStore, root: Path, full_disk: None) -> None:
    with pytest.raises(ObjectStoreUnavailable) as raised:
        await directory.put("a/b", chunks(b"content"))

    assert raised.value.reason == "ENOSPC"
    assert list((root / INCOMING).iterdir()) == []


async def test_a_folder_that_is_gone_is_an_outage(directory: DirectoryObjectStore, root: Path) -> None:
    await directory.check()
    (root / INCOMING).rmdir()

    with pytest.raises(ObjectStoreUnavailable):
        await directory.check()
    with pytest.raises(ObjectStoreUnavailable):
        await directory.put("a/b", chunks(b"content"))


async def test_a_reader_keeps_what_is_deleted_meanwhile(directory: DirectoryObjectStore) -> None:
    content = bytes(2_000_000)
    await directory.put("a/b", chunks(content))
    source = directory.get("a/b")
    first = await anext(source)

    await directory.delete("a/b")

    assert first + await read(source) == content
