"""Transactions on one upload at once, on Postgres: they take turns, and it ends once."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from infra.clock import now_seconds
from infra.database import doomed_objects, uploads
from infra.database.engine import Database, open_database
from infra.database.file_tables import FILES, UPLOADS
from infra.database.files import StoredFile
from models.errors import WrongStatus
from models.files import Purpose
from models.ids import new_file_id
from models.stored_objects import KeyPrefix, object_key
from models.uploads import CreateUploadRequest, Upload, UploadStatus
from tests.conftest import NewDatabase
from tests.database import Work, beside, overlap, writing
from tests.infra.database.conftest import PROJECT


@pytest.fixture(scope="module")
async def database(new_postgres_database: NewDatabase) -> AsyncIterator[Database]:
    async with open_database(new_postgres_database()) as opened:
        yield opened


def do(database: Database, work: Callable[[Connection], Any]) -> Any:
    with writing(database) as connection:
        return work(connection)


def new_upload(database: Database) -> tuple[Upload, str]:
    """A pending upload and its one part."""
    body = CreateUploadRequest(bytes=3, filename="a.md", mime_type="text/markdown", purpose="assistants")
    upload: Upload = do(database, lambda connection: uploads.create(connection, PROJECT, body))
    part_id = f"part_{upload.id}"
    do(database, add_part(upload, part_id))
    return upload, part_id


def add_part(upload: Upload, part_id: str) -> Work:
    return lambda connection: uploads.add_part(connection, PROJECT, upload.id, part_id, 3)


def complete(upload: Upload, part_id: str) -> Work:
    stored = StoredFile(new_file_id(), "a.md", Purpose.ASSISTANTS, 3)
    return lambda connection: uploads.complete(connection, PROJECT, upload.id, [part_id], stored)


def cancel(upload: Upload) -> Work:
    return lambda connection: uploads.cancel(connection, PROJECT, upload.id)


def end_its_time(database: Database, upload: Upload) -> None:
    over = update(UPLOADS).where(UPLOADS.c.id == upload.id).values(expires_at=now_seconds())
    do(database, lambda connection: connection.execute(over))


def expire(connection: Connection) -> list[str]:
    return list(uploads.expire(connection, 100))


def status_of(database: Database, upload: Upload) -> str:
    return str(do(database, lambda connection: connection.scalar(select(UPLOADS.c.status).filter_by(id=upload.id))))


def number_of_files(database: Database) -> int:
    return int(do(database, lambda connection: connection.scalar(select(func.count()).select_from(FILES))))


def doomed(database: Database) -> list[str]:
    return list(do(database, lambda connection: doomed_objects.oldest(connection, now_seconds(), 1000)))


async def test_upload_that_is_completed_is_not_cancelled(database: Database) -> None:
    upload, part_id = new_upload(database)

    refused = await overlap(database, complete(upload, part_id), cancel(upload))

    assert isinstance(refused, WrongStatus)
    assert status_of(database, upload) == UploadStatus.COMPLETED


async def test_upload_that_is_cancelled_makes_no_file(database: Database) -> None:
    upload, part_id = new_upload(database)
    before = number_of_files(database)

    refused = await overlap(database, cancel(upload), complete(upload, part_id))

    assert isinstance(refused, WrongStatus)
    assert status_of(database, upload) == UploadStatus.CANCELLED
    assert number_of_files(database) == before


async def test_upload_is_completed_once(database: Database) -> None:
    upload, part_id = new_upload(database)
    before = number_of_files(database)

    again = await overlap(database, complete(upload, part_id), complete(upload, part_id))

    assert again.status == UploadStatus.COMPLETED
    assert number_of_files(database) == before + 1


async def test_sweep_leaves_an_upload_that_is_completed_late(database: Database) -> None:
    upload, part_id = new_upload(database)
    end_its_time(database, upload)

    expired = await beside(database, complete(upload, part_id), expire)

    assert upload.id not in expired
    assert status_of(database, upload) == UploadStatus.COMPLETED


async def test_upload_that_expires_is_not_completed(database: Database) -> None:
    upload, part_id = new_upload(database)
    end_its_time(database, upload)
    before = number_of_files(database)

    refused = await overlap(database, expire, complete(upload, part_id))

    assert isinstance(refused, WrongStatus)
    assert status_of(database, upload) == UploadStatus.EXPIRED
    assert number_of_files(database) == before


@pytest.mark.parametrize("end", [cancel, lambda upload: expire], ids=["cancelled", "expired"])
async def test_part_of_an_upload_that_ends_is_refused(database: Database, end: Callable[[Upload], Work]) -> None:
    upload, _ = new_upload(database)
    if end is not cancel:
        end_its_time(database, upload)

    refused = await overlap(database, end(upload), add_part(upload, f"late_{upload.id}"))

    assert isinstance(refused, WrongStatus)


async def test_bytes_of_a_part_that_came_before_the_end_are_deleted(database: Database) -> None:
    upload, _ = new_upload(database)
    late = f"late_{upload.id}"

    await overlap(database, add_part(upload, late), cancel(upload))

    assert object_key(KeyPrefix.UPLOAD_PART, late) in doomed(database)
