"""Transactions on one vector store and its files at once, on Postgres: they take turns, and no count drifts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from infra.clock import now_seconds
from infra.database import (
    files,
    index_deletions,
    ingestions,
    vector_store_additions,
    vector_store_file_batches,
    vector_store_files,
    vector_stores,
)
from infra.database.engine import Database, open_database
from infra.database.file_tables import FILES
from infra.database.files import StoredFile
from infra.database.vector_store_tables import VECTOR_STORE_FILES, VECTOR_STORES
from infra.embeddings.embedders import Embedders
from infra.ports import Embedder
from infra.searchable_files import SearchableFiles
from infra.vector_index.sqlite_index import SqliteVectorIndex
from infra.vector_store_search import VectorStoreSearch
from models.errors import ApiError, NotFound, WrongStatus
from models.file_errors import FileNotFound
from models.files import Purpose
from models.ids import new_file_id
from models.ingestion import IngestEnd, IngestInput
from models.vector_store_errors import StoreFileNotFound, VectorStoreExpired
from models.vector_store_search import SearchRequest, parse_filter
from models.vector_stores import (
    Attachment,
    ChunkSizes,
    CreateVectorStoreRequest,
    FileBatch,
    FileCounts,
    StoreFileStatus,
)
from tests.conftest import NewDatabase
from tests.database import Work, beside, overlap, reading, waiting_for_locks, writing
from tests.infra.database.conftest import PROJECT

NEW = parse_filter({"type": "eq", "key": "is_new", "value": True})
_F = VECTOR_STORE_FILES

# Which transaction is first is chance where no lock decides it.
ROUNDS = 8


@pytest.fixture(scope="module")
async def database(new_postgres_database: NewDatabase) -> AsyncIterator[Database]:
    async with open_database(new_postgres_database()) as opened:
        yield opened


def do(database: Database, work: Callable[[Connection], Any]) -> Any:
    with writing(database) as connection:
        return work(connection)


def new_store(database: Database) -> str:
    created = do(database, lambda each: vector_stores.create(each, PROJECT, CreateVectorStoreRequest(), None, 0))
    return str(created.id)


def new_file(database: Database, expires_after_seconds: int | None = None) -> str:
    stored = StoredFile(new_file_id(), "a.md", Purpose.ASSISTANTS, 1, expires_after_seconds)
    do(database, lambda connection: files.create(connection, PROJECT, stored))
    return stored.id


def attach(store_id: str, *file_ids: str) -> Work:
    """What the API does for a new file of a store."""

    def work(connection: Connection) -> Sequence[IngestInput]:
        store = vector_store_additions.lock_store_for(connection, PROJECT, store_id, file_ids)
        return vector_store_additions.add(connection, store, attachments(*file_ids)).to_ingest

    return work


def create_batch(store_id: str, *file_ids: str) -> Work:
    def work(connection: Connection) -> FileBatch:
        store = vector_store_additions.lock_store_for(connection, PROJECT, store_id, file_ids)
        return vector_store_file_batches.create(connection, store, attachments(*file_ids))

    return work


def attachments(*file_ids: str) -> list[Attachment]:
    return [Attachment(file_id, None, ChunkSizes()) for file_id in file_ids]


def cancel_batch(store_id: str, batch_id: str) -> Work:
    return lambda connection: vector_store_file_batches.cancel(connection, PROJECT, store_id, batch_id)


def detach(store_id: str, file_id: str) -> Work:
    return lambda connection: vector_store_files.remove(connection, PROJECT, store_id, file_id)


def delete_file(file_id: str) -> Work:
    return lambda connection: files.remove(connection, PROJECT, file_id)


def delete_store(store_id: str) -> Work:
    return lambda connection: vector_stores.remove(connection, PROJECT, store_id)


def finish(file: IngestInput, status: StoreFileStatus = StoreFileStatus.COMPLETED) -> Work:
    return lambda connection: ingestions.end(connection, IngestEnd(file, status, usage_bytes=7), [0])


def expire_at(store_id: str, seconds: int) -> Work:
    statement = update(VECTOR_STORES).where(VECTOR_STORES.c.id == store_id).values(expires_at=seconds)
    return lambda connection: connection.execute(statement)


def lock(store_id: str) -> Work:
    return lambda connection: vector_stores.lock_any(connection, store_id)


def empty_expired(connection: Connection) -> list[str]:
    return [store.id for store in vector_stores.empty_expired(connection, 100)]


def remove_expired(connection: Connection) -> Sequence[str]:
    return files.remove_expired(connection, 100)


def ingested(database: Database, store_id: str, file_id: str) -> IngestInput:
    found = do(database, lambda connection: vector_store_files.find(connection, PROJECT, store_id, file_id))
    return ingestions.ingest_input(found)


def exists(database: Database, file_id: str) -> bool:
    return bool(do(database, lambda connection: connection.scalar(select(1).where(FILES.c.id == file_id))))


def rows_of(database: Database, store_id: str) -> int:
    left = select(func.count()).where(VECTOR_STORE_FILES.c.store_id == store_id)
    return int(do(database, lambda connection: connection.scalar(left)))


def counts(database: Database, store_id: str) -> FileCounts:
    """Those of the store, which agree with its rows."""
    table = VECTOR_STORE_FILES
    by_status = select(table.c.status, func.count()).where(table.c.store_id == store_id).group_by(table.c.status)
    usage = select(func.coalesce(func.sum(table.c.usage_bytes), 0)).where(table.c.store_id == store_id)
    with writing(database) as connection:
        store = vector_stores.load(connection, PROJECT, store_id)
        rows = {row[0]: row[1] for row in connection.execute(by_status)}
        assert {name: n for name, n in store.file_counts.model_dump(exclude={"total"}).items() if n} == rows
        assert store.usage_bytes == connection.scalar(usage)
    return store.file_counts


def counts_of_batch(database: Database, store_id: str, batch_id: str) -> FileCounts:
    batch: FileBatch = do(
        database, lambda connection: vector_store_file_batches.load(connection, PROJECT, store_id, batch_id)
    )
    return batch.file_counts


async def at_once(database: Database, *works: Work) -> None:
    """Raises what one of them raises that is no answer to a client, such as a deadlock."""
    for outcome in await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, ApiError):
            raise outcome


async def test_deletion_waits_for_an_addition_and_takes_the_file_out(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)

    await overlap(database, attach(store_id, file_id), delete_file(file_id))

    assert counts(database, store_id).total == 0


async def test_addition_waits_for_a_deletion_and_is_refused(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)

    refused = await overlap(database, delete_file(file_id), attach(store_id, file_id))

    assert isinstance(refused, FileNotFound)
    assert counts(database, store_id).total == 0


async def test_file_is_added_again_to_its_store_while_it_is_deleted(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    do(database, attach(store_id, file_id))

    with writing(database) as connection:
        store = vector_store_additions.lock_store_for(connection, PROJECT, store_id, [file_id])
        deleting = asyncio.create_task(database.write(delete_file(file_id)))
        await until_waiting(database, 1)
        vector_store_additions.add(connection, store, attachments(file_id))
    await deleting

    assert counts(database, store_id).total == 0


async def test_batch_is_refused_while_one_of_its_files_is_deleted(database: Database) -> None:
    store_id, ids = new_store(database), [new_file(database) for _ in range(3)]
    do(database, attach(store_id, ids[1]))

    refused = await overlap(database, delete_file(ids[1]), create_batch(store_id, *ids))

    assert isinstance(refused, FileNotFound)
    assert counts(database, store_id).total == 0


async def test_file_is_deleted_while_one_of_its_stores_is_deleted(database: Database) -> None:
    deleted, kept, file_id = new_store(database), new_store(database), new_file(database)
    for store_id in (deleted, kept):
        do(database, attach(store_id, file_id))

    outcome = await overlap(database, delete_store(deleted), delete_file(file_id))

    assert isinstance(outcome, str)
    assert not exists(database, file_id)
    assert counts(database, kept).total == 0


async def test_store_is_deleted_while_one_of_its_files_is_deleted(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    do(database, attach(store_id, file_id))

    outcome = await overlap(database, delete_file(file_id), delete_store(store_id))

    assert outcome.id == store_id
    assert not exists(database, file_id)


async def test_file_is_deleted_while_it_is_taken_out_of_its_store(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    do(database, attach(store_id, file_id))

    outcome = await overlap(database, detach(store_id, file_id), delete_file(file_id))

    assert isinstance(outcome, str)
    assert not exists(database, file_id)
    assert counts(database, store_id).total == 0


async def test_file_is_not_found_in_its_store_while_it_is_deleted(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    do(database, attach(store_id, file_id))

    refused = await overlap(database, delete_file(file_id), detach(store_id, file_id))

    assert isinstance(refused, StoreFileNotFound)
    assert counts(database, store_id).total == 0


async def test_file_is_not_added_to_a_store_that_is_being_deleted(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)

    refused = await overlap(database, delete_store(store_id), attach(store_id, file_id))

    assert isinstance(refused, NotFound)
    assert str(refused) == f"No vector store found with id '{store_id}'."


async def test_store_that_is_deleted_while_a_file_is_added_leaves_no_row(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)

    await overlap(database, attach(store_id, file_id), delete_store(store_id))

    assert rows_of(database, store_id) == 0


async def test_files_that_expire_leave_one_that_is_deleted_now(database: Database) -> None:
    deleted, expired = new_file(database, 0), new_file(database, 0)

    removed = await beside(database, delete_file(deleted), remove_expired)

    assert removed == [expired]
    assert not exists(database, deleted)


async def test_two_sweeps_share_the_files_that_expire(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database, 0)
    do(database, attach(store_id, file_id))

    removed = await beside(database, remove_expired, remove_expired)

    assert removed == []
    assert counts(database, store_id).total == 0


async def test_expired_file_that_is_added_now_is_left_to_the_next_sweep(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database, 0)

    removed = await beside(database, attach(store_id, file_id), remove_expired)

    assert removed == []
    assert do(database, remove_expired) == [file_id]
    assert counts(database, store_id).total == 0


async def test_files_expire_while_another_of_their_stores_is_deleted(database: Database) -> None:
    """The stores are locked in the order of their ids, whatever the order of the files."""
    first, second = sorted(new_store(database) for _ in range(2))
    of_both, of_second, of_first = new_file(database), new_file(database, -1), new_file(database, 0)
    for store_id, file_id in ((first, of_both), (second, of_both), (second, of_second), (first, of_first)):
        do(database, attach(store_id, file_id))

    with writing(database) as connection:
        lock(first)(connection)
        deleting = asyncio.create_task(database.write(delete_file(of_both)))
        await until_waiting(database, 1)
        expiring = asyncio.create_task(database.write(remove_expired))
        await until_waiting(database, 2)
    await deleting

    assert await expiring == [of_second, of_first]
    assert (counts(database, first).total, counts(database, second).total) == (0, 0)


async def test_store_whose_ingestion_ends_now_is_emptied_by_the_next_sweep(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    [file] = do(database, attach(store_id, file_id))
    do(database, expire_at(store_id, now_seconds()))

    emptied = await beside(database, finish(file), empty_expired)

    assert emptied == []
    assert counts(database, store_id).completed == 1
    assert do(database, empty_expired) == [store_id]
    assert counts(database, store_id).total == 0


async def test_ingestion_that_ends_while_its_store_is_emptied_changes_nothing(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    [file] = do(database, attach(store_id, file_id))
    do(database, expire_at(store_id, now_seconds()))

    has_ended = await overlap(database, empty_expired, finish(file))

    assert has_ended is False
    assert counts(database, store_id).total == 0


async def test_store_that_is_used_while_it_would_expire_is_kept(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    do(database, attach(store_id, file_id))
    do(database, expire_at(store_id, now_seconds()))

    emptied = await beside(database, expire_at(store_id, now_seconds() + 100), empty_expired)

    assert emptied == []
    assert counts(database, store_id).total == 1


async def test_store_that_is_emptied_is_not_used_any_more(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    do(database, expire_at(store_id, now_seconds()))

    refused = await overlap(database, empty_expired, attach(store_id, file_id))

    assert isinstance(refused, VectorStoreExpired)


async def no_other_model(model: str, dimensions: int) -> Embedder:
    raise AssertionError(f"no search needs {model}")


async def test_search_waits_for_no_change_of_a_store_that_was_used_just_now(database: Database, tmp_path: Path) -> None:
    store_id = new_store(database)
    index = SqliteVectorIndex(tmp_path, cache_bytes=0)
    search = VectorStoreSearch(database, Embedders(None, no_other_model), index)

    with writing(database) as connection, closing(index):
        lock(store_id)(connection)
        async with asyncio.timeout(5):
            found = await search.search(PROJECT, store_id, SearchRequest(query=["anything"]))

    assert found.data == []


async def test_ingestion_that_ends_while_its_batch_is_cancelled_is_cancelled(database: Database) -> None:
    store_id, ids = new_store(database), [new_file(database) for _ in range(2)]
    batch = do(database, create_batch(store_id, *ids))
    file = ingested(database, store_id, ids[0])

    has_ended = await overlap(database, cancel_batch(store_id, batch.id), finish(file))

    assert has_ended is False
    assert counts(database, store_id).cancelled == 2
    assert counts_of_batch(database, store_id, batch.id).cancelled == 2


async def test_batch_whose_last_file_ends_now_is_not_cancelled(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    batch = do(database, create_batch(store_id, file_id))

    refused = await overlap(database, finish(ingested(database, store_id, file_id)), cancel_batch(store_id, batch.id))

    assert isinstance(refused, WrongStatus)
    assert counts_of_batch(database, store_id, batch.id).completed == 1


async def test_file_that_another_batch_takes_over_counts_once(database: Database) -> None:
    store_id, file_id = new_store(database), new_file(database)
    batch = do(database, create_batch(store_id, file_id))

    newer = await overlap(database, cancel_batch(store_id, batch.id), create_batch(store_id, file_id))

    assert counts(database, store_id).model_dump(exclude_defaults=True) == {
        "in_progress": 1,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
        "total": 1,
    }
    assert counts_of_batch(database, store_id, batch.id).cancelled == 1
    assert counts_of_batch(database, store_id, newer.id).in_progress == 1


@pytest.mark.parametrize("is_taken_out_first", [True, False])
async def test_ingestion_ends_while_its_file_is_taken_out(database: Database, is_taken_out_first: bool) -> None:
    store_id, file_id = new_store(database), new_file(database)
    batch = do(database, create_batch(store_id, file_id))
    file = ingested(database, store_id, file_id)
    works = [detach(store_id, file_id), finish(file)]

    await overlap(database, *(works if is_taken_out_first else reversed(works)))

    assert counts(database, store_id).total == 0
    of_batch = counts_of_batch(database, store_id, batch.id)
    assert (of_batch.cancelled, of_batch.completed) == ((1, 0) if is_taken_out_first else (0, 1))
    deletions = do(database, lambda connection: index_deletions.oldest(connection, now_seconds(), 1000))
    [deletion] = [row for row in deletions if row.store_id == store_id]
    assert (deletion.file_id, deletion.generation) == (file_id, file.generation)


async def test_reconciler_waits_for_no_file_that_changes_now(database: Database) -> None:
    store_id, ids = new_store(database), [new_file(database) for _ in range(2)]
    batch = do(database, create_batch(store_id, ids[0]))
    do(database, attach(store_id, ids[1]))
    make_due = update(VECTOR_STORE_FILES).where(VECTOR_STORE_FILES.c.store_id == store_id).values(next_check_at=0)
    do(database, lambda connection: connection.execute(make_due))

    taken = await beside(
        database,
        cancel_batch(store_id, batch.id),
        lambda connection: [row.id for row in ingestions.take_due(connection, 100, 60_000)],
    )

    assert ids[1] in taken
    assert ids[0] not in taken


async def test_everything_happens_to_a_store_at_once(database: Database) -> None:
    for _ in range(ROUNDS):
        stores = [new_store(database) for _ in range(2)]
        ids = [new_file(database) for _ in range(4)]
        made = [do(database, create_batch(store_id, *ids[:3])) for store_id in stores]
        file = ingested(database, stores[0], ids[0])

        await at_once(
            database,
            attach(stores[0], *reversed(ids)),
            create_batch(stores[0], *ids),
            finish(file),
            cancel_batch(stores[0], made[0].id),
            detach(stores[0], ids[2]),
            delete_file(ids[1]),
            delete_file(ids[2]),
            delete_store(stores[1]),
            empty_expired,
            remove_expired,
        )

        counts(database, stores[0])
        assert counts_of_batch(database, stores[0], made[0].id).in_progress == 0
        assert rows_of(database, stores[1]) == 0


async def until_waiting(database: Database, number: int) -> None:
    async with asyncio.timeout(10):
        while await database.read(waiting_for_locks) < number:
            pass


async def test_changes_that_commit_in_turn_are_all_found(database: Database) -> None:
    store_id, remembered = new_store(database), SearchableFiles()
    first, second, third = (new_file(database) for _ in range(3))
    for file_id in (first, second):
        [added] = do(database, attach(store_id, file_id))
        do(database, finish(added))

    def searched(connection: Connection) -> set[str]:
        row = vector_stores.find_open(connection, PROJECT, store_id)
        return {file.id for file in remembered.of(connection, row, NEW).files}

    def mark(file_id: str) -> Work:
        return lambda connection: vector_store_files.modify(connection, PROJECT, store_id, file_id, {"is_new": True})

    def mark_unseen(connection: Connection) -> None:
        mark(first)(connection)
        with reading(database) as beside_it:
            assert searched(beside_it) == set()

    with reading(database) as connection:
        assert searched(connection) == set()
    # The second has to wait: it would otherwise commit the later version before the earlier one.
    await overlap(database, mark_unseen, mark(second))
    with reading(database) as connection:
        assert searched(connection) == {first, second}
    await overlap(database, detach(store_id, first), attach(store_id, third))
    with reading(database) as connection:
        assert searched(connection) == {second}

        versions = dict(
            connection.execute(select(_F.c.id, _F.c.files_version).where(_F.c.store_id == store_id)).tuples().all()
        )
        row = vector_stores.find_open(connection, PROJECT, store_id)
    assert row.files_version == versions[third] > versions[second]
