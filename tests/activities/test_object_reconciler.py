"""The object store and the rows, brought to agree again after a crash at any point."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from temporalio.testing import ActivityEnvironment

from activities import heartbeat
from activities.object_reconciler import FILES_AT_A_TIME, ORPHANED_AFTER, ObjectReconciler, ObjectSweep
from infra.database import files, sandbox_files, uploads
from infra.database.engine import Database, open_database
from infra.database.file_tables import UPLOADS
from infra.database.files import CONTENT_LOST, StoredFile
from infra.database.sandbox_files import KeptFile
from infra.object_store.directory import DirectoryObjectStore
from models.files import File, Purpose
from models.ids import Prefix, new_dated_id, new_file_id, new_id
from models.stored_objects import KeyPrefix, StoredObject, object_key
from models.uploads import CreateUploadRequest, UploadStatus
from tests.database import new_sqlite_database, reading, writing
from tests.infra.object_store.content import chunks

PROJECT = "default"
AT_ONCE = timedelta(0)
DONE = ObjectSweep(objects_after=None, files_after=None, next_scan_at=2**40)


@pytest.fixture
async def database(own_database: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(own_database or new_sqlite_database(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def store(tmp_path: Path) -> DirectoryObjectStore:
    opened = DirectoryObjectStore(tmp_path / "objects")
    await opened.open()
    return opened


async def put_file(
    database: Database, store: DirectoryObjectStore, content: bytes = b"content", expires_after: int | None = None
) -> File:
    file_id = new_file_id()
    await store.put(object_key(KeyPrefix.FILE, file_id), chunks(content))
    with writing(database) as connection:
        stored = StoredFile(file_id, "a.md", Purpose.ASSISTANTS, len(content), expires_after)
        return files.create(connection, PROJECT, stored)


async def swept(
    database: Database,
    store: DirectoryObjectStore,
    last: ObjectSweep | None = None,
    orphaned_after: timedelta = ORPHANED_AFTER,
    environment: ActivityEnvironment | None = None,
) -> ObjectSweep:
    reconciler = ObjectReconciler(database, store, orphaned_after)
    sweep: ObjectSweep = await (environment or ActivityEnvironment()).run(reconciler.reconcile, last)
    return sweep


async def keys(store: DirectoryObjectStore) -> list[str]:
    return [each.key for each in await store.list_page("", 1000)]


def key_of(file: File) -> str:
    return object_key(KeyPrefix.FILE, file.id)


async def test_deletes_the_bytes_that_a_killed_api_left(database: Database, store: DirectoryObjectStore) -> None:
    kept, removed = await put_file(database, store), await put_file(database, store)
    with writing(database) as connection:
        files.remove(connection, PROJECT, removed.id)

    first = await swept(database, store, DONE)
    second = await swept(database, store, first)

    assert (first.deleted, second.deleted) == (1, 0)
    assert await keys(store) == [key_of(kept)]


async def test_deletes_expired_files(database: Database, store: DirectoryObjectStore) -> None:
    kept = await put_file(database, store, expires_after=3600)
    expired = await put_file(database, store, expires_after=0)

    sweep = await swept(database, store, DONE)

    assert (sweep.expired, sweep.deleted) == (1, 1)
    assert await keys(store) == [key_of(kept)]
    with reading(database) as connection:
        assert files.known(connection, [kept.id, expired.id]) == {kept.id}


async def test_ends_expired_uploads_and_deletes_their_parts(database: Database, store: DirectoryObjectStore) -> None:
    body = CreateUploadRequest(filename="a", purpose="vision", bytes=7, mime_type="text/plain")
    part_ids = [new_dated_id(Prefix.UPLOAD_PART, 1), new_dated_id(Prefix.UPLOAD_PART, 2)]
    with writing(database) as connection:
        pending, expired = [uploads.create(connection, PROJECT, body) for _ in range(2)]
        for upload, part_id in zip((pending, expired), part_ids, strict=True):
            uploads.add_part(connection, PROJECT, upload.id, part_id, 7)
        connection.execute(update(UPLOADS).where(UPLOADS.c.id == expired.id).values(expires_at=1))
    for part_id in part_ids:
        await store.put(object_key(KeyPrefix.UPLOAD_PART, part_id), chunks(b"content"))

    sweep = await swept(database, store, orphaned_after=AT_ONCE)

    assert (sweep.expired, sweep.deleted, sweep.orphans) == (1, 1, 0)
    assert await keys(store) == [object_key(KeyPrefix.UPLOAD_PART, part_ids[0])]
    with reading(database) as connection:
        uploads.check_pending(connection, PROJECT, pending.id)
        assert (
            connection.scalar(UPLOADS.select().with_only_columns(UPLOADS.c.status).where(UPLOADS.c.id == expired.id))
            == UploadStatus.EXPIRED
        )


async def test_deletes_objects_that_never_had_a_row(database: Database, store: DirectoryObjectStore) -> None:
    kept = await put_file(database, store)
    await store.put(object_key(KeyPrefix.FILE, "file-orphan"), chunks(b"x"))
    await store.put(object_key(KeyPrefix.UPLOAD_PART, "part_0rphan"), chunks(b"x"))
    await store.put(object_key(KeyPrefix.SANDBOX_FILE, "sandbox_0rphan"), chunks(b"x"))
    made = KeptFile("a.csv", new_id(Prefix.SANDBOX_FILE), 1, "00")
    await store.put(made.key, chunks(b"x"))
    await database.write(sandbox_files.replace, PROJECT, "thread_1", [made], [])
    await store.put("elsewhere/a", chunks(b"not ours"))
    await store.put("files/zz/not-in-its-shard", chunks(b"not ours"))

    young = await swept(database, store)
    aged = await swept(database, store, orphaned_after=AT_ONCE)

    assert (young.orphans, aged.orphans) == (0, 3)
    assert set(await keys(store)) == {key_of(kept), made.key, "elsewhere/a", "files/zz/not-in-its-shard"}


async def test_marks_files_whose_bytes_are_gone(database: Database, store: DirectoryObjectStore) -> None:
    kept, empty, lost = [await put_file(database, store, content) for content in (b"content", b"", b"content")]
    await store.delete(key_of(lost))

    sweep = await swept(database, store)

    assert sweep.lost == 1
    with reading(database) as connection:
        found = files.find(connection, PROJECT, [kept.id, empty.id, lost.id])
    assert [found[file.id].status for file in (kept, empty, lost)] == ["processed", "processed", "error"]
    assert found[lost.id].status_details == CONTENT_LOST


async def test_goes_on_where_the_last_sweep_ended(database: Database, store: DirectoryObjectStore) -> None:
    for _ in range(FILES_AT_A_TIME + 1):
        lost = await put_file(database, store)
    await store.delete(key_of(lost))

    first = await swept(database, store)
    second = await swept(database, store, first)
    third = await swept(database, store, second)
    anew = await swept(database, store, ObjectSweep(objects_after=None, files_after=None, next_scan_at=1))

    assert (first.lost, second.lost) == (0, 1)
    assert first.files_after is not None
    assert (second.objects_after, second.files_after) == (None, None)
    assert (third.objects_after, third.files_after) == (None, None)
    assert anew.files_after is not None
    assert anew.next_scan_at > 1


async def test_shows_that_it_is_alive_during_a_long_listing(
    database: Database, store: DirectoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_INTERVAL", timedelta(milliseconds=1))
    has_beaten, listed = asyncio.Event(), store.list_page

    async def listed_after_a_heartbeat(after: str, limit: int) -> Sequence[StoredObject]:
        async with asyncio.timeout(10):
            await has_beaten.wait()
        return await listed(after, limit)

    monkeypatch.setattr(store, "list_page", listed_after_a_heartbeat)
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: has_beaten.set()

    sweep = await swept(database, store, environment=environment)

    assert sweep.objects_after is None
