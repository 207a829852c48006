"""A file that is added to a vector store while it is deleted, on Postgres: it is in no store afterwards."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection

from infra.database import files, vector_store_files, vector_stores
from infra.database.engine import Database, open_database
from infra.database.files import StoredFile
from models.errors import FileNotFound, StoreFileNotFound
from models.files import Purpose
from models.ids import new_file_id
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest
from tests.conftest import NewDatabase
from tests.database import overlap, writing
from tests.infra.database.conftest import PROJECT


@pytest.fixture(scope="module")
async def database(new_postgres_database: NewDatabase) -> AsyncIterator[Database]:
    async with open_database(new_postgres_database()) as opened:
        yield opened


async def test_deletion_waits_for_an_addition_and_takes_the_file_out(database: Database) -> None:
    store_id, file_id = _store_and_file(database)

    await overlap(
        database,
        lambda connection: _add(connection, store_id, file_id),
        lambda connection: files.remove(connection, PROJECT, file_id),
    )

    with writing(database) as connection, pytest.raises(StoreFileNotFound):
        vector_store_files.find(connection, PROJECT, store_id, file_id)


async def test_addition_waits_for_a_deletion_and_is_refused(database: Database) -> None:
    store_id, file_id = _store_and_file(database)

    refused = await overlap(
        database,
        lambda connection: files.remove(connection, PROJECT, file_id),
        lambda connection: _add(connection, store_id, file_id),
    )

    assert isinstance(refused, FileNotFound)


def _store_and_file(database: Database) -> tuple[str, str]:
    with writing(database) as connection:
        store = vector_stores.create(connection, PROJECT, CreateVectorStoreRequest(), None, 0)
        file = files.create(connection, PROJECT, StoredFile(new_file_id(), "a.md", Purpose.ASSISTANTS, 1))
    return store.id, file.id


def _add(connection: Connection, store_id: str, file_id: str) -> None:
    store = vector_stores.lock_open(connection, PROJECT, store_id)
    vector_store_files.add(connection, store, [Attachment(file_id, None, ChunkSizes())])
