"""Files of vector stores as operators list and retry them."""

from typing import Any

import pytest
from sqlalchemy import Connection, update

from infra.clock import MS_PER_SECOND, now_seconds
from infra.database import (
    ingestions,
    ops_files,
    vector_store_additions,
    vector_store_file_batches,
    vector_store_files,
    vector_stores,
)
from infra.database.engine import Database
from infra.database.ingestions import ingest_input
from infra.database.ops_files import FileFilter
from infra.database.vector_store_tables import VECTOR_STORE_FILES, VECTOR_STORES
from models.documents import FileErrorCode
from models.errors import NotFound, WrongStatus
from models.ids import StoreFileName
from models.ingestion import IngestEnd, IngestError
from models.lists import Order, PageRequest
from models.vector_store_errors import StoreFileNotFound, VectorStoreExpired
from models.vector_stores import StoreFileStatus
from tests.database import writing
from tests.infra.database.test_vector_stores import OTHER, PROJECT, add, batch, counts, new_file, new_store

HOUR_SECONDS = 3600


def fail(
    connection: Connection, store_id: str, file_id: str, code: FileErrorCode = FileErrorCode.SERVER_ERROR
) -> StoreFileName:
    row = vector_store_files.find(connection, PROJECT, store_id, file_id)
    error = IngestError(code, "It broke.")
    assert ingestions.end(connection, IngestEnd(ingest_input(row), StoreFileStatus.FAILED, error))
    return StoreFileName(store_id, file_id)


def failed(connection: Connection, code: FileErrorCode = FileErrorCode.SERVER_ERROR) -> StoreFileName:
    store_id, file_id = new_store(connection), new_file(connection)
    add(connection, store_id, file_id)
    return fail(connection, store_id, file_id, code)


def listed(
    connection: Connection, project: str | None = PROJECT, page: PageRequest | None = None, **wanted: Any
) -> list[str]:
    conditions = FileFilter(**{"status": "failed"} | wanted)
    rows, _ = ops_files.list_page(connection, project, page or PageRequest(100, Order.ASC), conditions)
    return [f"{row.store_id}/{row.id}" for row in rows]


def test_retry_moves_file_store_and_batch_back_to_in_progress(database: Database) -> None:
    with writing(database) as connection:
        store_id, first, second = new_store(connection), new_file(connection), new_file(connection)
        made = batch(connection, store_id, first, second)
        fail(connection, store_id, first)
        row = vector_store_files.find(connection, PROJECT, store_id, second)
        ingestions.end(connection, IngestEnd(ingest_input(row), StoreFileStatus.COMPLETED, usage_bytes=7))
        before = vector_store_files.find(connection, PROJECT, store_id, first)

        after = vector_store_additions.retry(connection, PROJECT, store_id, first)

        assert (after.status, after.last_error, after.ended_at, after.usage_bytes) == ("in_progress", None, None, 0)
        assert after.generation > before.generation
        assert (after.max_chunk_size_tokens, after.batch_id) == (before.max_chunk_size_tokens, made.id)
        assert counts(connection, store_id) == (1, 1, 0, 0)
        shown = vector_store_file_batches.load(connection, PROJECT, store_id, made.id)
        assert (shown.status, shown.file_counts.in_progress, shown.file_counts.failed) == ("in_progress", 1, 0)
        fail(connection, store_id, first)
        assert counts(connection, store_id) == (0, 1, 1, 0)
        assert vector_store_file_batches.load(connection, PROJECT, store_id, made.id).file_counts.failed == 1


def test_only_failed_files_of_open_stores_of_the_project_are_retried(database: Database) -> None:
    with writing(database) as connection:
        name = failed(connection)
        here = (name.store_id, name.file_id)
        with pytest.raises(NotFound):
            vector_store_additions.retry(connection, OTHER, *here)
        with pytest.raises(StoreFileNotFound):
            vector_store_additions.retry(connection, PROJECT, name.store_id, "file-x")
        vector_store_additions.retry(connection, PROJECT, *here)
        with pytest.raises(WrongStatus, match="Cannot retry file with status 'in_progress'"):
            vector_store_additions.retry(connection, PROJECT, *here)
        assert counts(connection, name.store_id) == (1, 0, 0, 0)
        fail(connection, *here)
        connection.execute(
            update(VECTOR_STORES).where(VECTOR_STORES.c.id == name.store_id).values(expires_at=now_seconds())
        )
        with pytest.raises(VectorStoreExpired):
            vector_store_additions.retry(connection, PROJECT, *here)


def test_list_has_the_files_of_one_status_and_of_each_filter(database: Database) -> None:
    with writing(database) as connection:
        broken, unreadable = failed(connection), failed(connection, FileErrorCode.INVALID_FILE)
        pending = StoreFileName(broken.store_id, new_file(connection))
        add(connection, pending.store_id, pending.file_id)

        everything = listed(connection)

        assert everything[-2:] == [str(broken), str(unreadable)]
        assert str(pending) not in everything
        assert listed(connection, store_id=broken.store_id) == [str(broken)]
        assert listed(connection, store_id=broken.store_id, status="in_progress") == [str(pending)]
        assert listed(connection, file_id=unreadable.file_id) == [str(unreadable)]
        assert listed(connection, store_id=unreadable.store_id, error=FileErrorCode.INVALID_FILE) == [str(unreadable)]
        assert listed(connection, store_id=unreadable.store_id, error=FileErrorCode.SERVER_ERROR) == []
        assert listed(connection, OTHER) == []
        assert listed(connection, None)[-2:] == everything[-2:]


def test_since_means_when_a_file_failed_or_its_ingestion_began(database: Database) -> None:
    with writing(database) as connection:
        name, hour_ago = failed(connection), now_seconds() - HOUR_SECONDS
        of_file = VECTOR_STORE_FILES.c.store_id == name.store_id

        def aged(ended_at: int | None, began_at: int) -> None:
            values = {"ended_at": ended_at, "generation": began_at * MS_PER_SECOND}
            connection.execute(update(VECTOR_STORE_FILES).where(of_file).values(values))

        aged(ended_at=hour_ago, began_at=hour_ago - 9)
        assert listed(connection, store_id=name.store_id, since=hour_ago) == [str(name)]
        assert listed(connection, store_id=name.store_id, since=hour_ago + 1) == []
        # As a process of an older version leaves it.
        aged(ended_at=None, began_at=hour_ago)
        assert listed(connection, store_id=name.store_id, since=hour_ago) == [str(name)]
        assert listed(connection, store_id=name.store_id, since=hour_ago + 1) == []


def test_cursor_may_be_a_file_that_was_retried_or_removed(database: Database) -> None:
    with writing(database) as connection:
        first, second, third = (failed(connection) for _ in range(3))
        vector_store_additions.retry(connection, PROJECT, second.store_id, second.file_id)
        rest = PageRequest(100, Order.ASC, after=str(second))
        assert listed(connection, page=rest) == [str(third)]
        vector_store_files.remove(connection, PROJECT, first.store_id, first.file_id)
        assert listed(connection, None, page=PageRequest(1, Order.ASC, after=str(first))) == [str(third)]
        with pytest.raises(NotFound, match="No file found with id 'vs_x/file-x'"):
            listed(connection, page=PageRequest(after="vs_x/file-x"))
        with pytest.raises(NotFound):
            listed(connection, OTHER, page=rest)


def test_file_of_another_project_is_not_found(database: Database) -> None:
    with writing(database) as connection:
        name = failed(connection)

        assert ops_files.load(connection, None, name).id == name.file_id
        assert ops_files.load(connection, PROJECT, name).store_id == name.store_id
        with pytest.raises(NotFound):
            ops_files.load(connection, OTHER, name)


def test_times_of_ends_are_kept(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        made = batch(connection, store_id, file_id)
        vector_store_file_batches.cancel(connection, PROJECT, store_id, made.id)

        cancelled = ops_files.load(connection, PROJECT, StoreFileName(store_id, file_id))

        assert cancelled.status == "cancelled"
        assert abs(cancelled.ended_at - now_seconds()) < 60
        assert vector_stores.load(connection, PROJECT, store_id).file_counts.cancelled == 1
