"""Rows of vector stores, their files and batches, and the numbers that they keep."""

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
from infra.database.engine import Database
from infra.database.files import StoredFile
from infra.database.ingestions import ingest_input
from infra.database.vector_store_tables import (
    REMOVED_STORE_FILES,
    VECTOR_STORE_FILE_ATTRIBUTES,
    VECTOR_STORE_FILES,
    VECTOR_STORES,
)
from models import vector_stores as bodies
from models.documents import FileErrorCode
from models.errors import NotFound, WrongStatus
from models.file_errors import FileNotFound
from models.files import Purpose
from models.ids import new_file_id
from models.ingestion import IngestEnd, IngestError
from models.lists import Order, PageRequest
from models.vector_store_errors import (
    StoreFileNotFound,
    UnsupportedExtensions,
    VectorStoreExpired,
    VectorStoreFull,
)
from models.vector_store_search import parse_filter
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest, Expiry, StoreFileStatus
from tests.database import writing

PROJECT, OTHER = "stores", "another"


def new_file(connection: Connection, name: str = "notes.md", project: str = PROJECT) -> str:
    return files.create(connection, project, StoredFile(new_file_id(), name, Purpose.ASSISTANTS, 12)).id


def new_store(connection: Connection, project: str = PROJECT, **fields: Any) -> str:
    return vector_stores.create(connection, project, CreateVectorStoreRequest(**fields), "minilm", 384).id


def add(connection: Connection, store_id: str, *file_ids: str, **fields: Any) -> vector_store_additions.Added:
    store = vector_stores.lock_open(connection, PROJECT, store_id)
    given = {"attributes": None, "sizes": ChunkSizes()} | fields
    return vector_store_additions.add(connection, store, [Attachment(file_id, **given) for file_id in file_ids])


def batch(connection: Connection, store_id: str, *file_ids: str) -> bodies.FileBatch:
    store = vector_stores.lock_open(connection, PROJECT, store_id)
    attachments = [Attachment(file_id, None, ChunkSizes()) for file_id in file_ids]
    return vector_store_file_batches.create(connection, store, attachments)


def end(
    connection: Connection, store_id: str, file_id: str, status: StoreFileStatus = StoreFileStatus.COMPLETED
) -> bool:
    row = vector_store_files.find(connection, PROJECT, store_id, file_id)
    return ingestions.end(connection, IngestEnd(ingest_input(row), status, usage_bytes=100), overlaps=[0, 5])


def counts(connection: Connection, store_id: str) -> tuple[int, int, int, int]:
    """In progress, completed, failed, cancelled; they agree with the rows and with the total."""
    shown = vector_stores.load(connection, PROJECT, store_id).file_counts
    by_status = select(VECTOR_STORE_FILES.c.status, func.count()).where(VECTOR_STORE_FILES.c.store_id == store_id)
    rows: dict[str, int] = {
        row[0]: row[1] for row in connection.execute(by_status.group_by(VECTOR_STORE_FILES.c.status))
    }
    assert {name: number for name, number in shown.model_dump(exclude={"total"}).items() if number} == rows
    assert shown.total == sum(rows.values())
    return shown.in_progress, shown.completed, shown.failed, shown.cancelled


def test_numbers_follow_the_states_of_files(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection)
        assert vector_stores.load(connection, PROJECT, store_id).status == "completed"
        first, second, third = (new_file(connection) for _ in range(3))
        add(connection, store_id, first, second, third)
        assert counts(connection, store_id) == (3, 0, 0, 0)
        assert vector_stores.load(connection, PROJECT, store_id).status == "in_progress"

        assert end(connection, store_id, first)
        assert end(connection, store_id, second, StoreFileStatus.FAILED)
        assert end(connection, store_id, third, StoreFileStatus.CANCELLED)
        assert counts(connection, store_id) == (0, 1, 1, 1)
        # A file ends once: what comes later changes nothing.
        assert not end(connection, store_id, first, StoreFileStatus.FAILED)
        vector_store_files.remove(connection, PROJECT, store_id, second)
        assert counts(connection, store_id) == (0, 1, 0, 1)
        store = vector_stores.load(connection, PROJECT, store_id)

        assert (store.status, store.usage_bytes) == ("completed", 200)


def test_failed_file_says_why_and_is_ingested_again_when_it_is_added_again(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        (ingested,) = add(connection, store_id, file_id).to_ingest
        error = IngestError(FileErrorCode.INVALID_FILE, "no text found")
        ingestions.end(connection, IngestEnd(ingested, StoreFileStatus.FAILED, error))
        failed = vector_store_files.load(connection, PROJECT, store_id, file_id)
        again = add(connection, store_id, file_id)

        assert failed.last_error == bodies.LastFileError(code=FileErrorCode.INVALID_FILE, message="no text found")
        assert (again.files[0].status, again.files[0].last_error) == (StoreFileStatus.IN_PROGRESS, None)
        assert again.to_ingest[0].generation > ingested.generation
        assert counts(connection, store_id) == (1, 0, 0, 0)
        # The earlier generation is superseded.
        assert not ingestions.end(connection, IngestEnd(ingested, StoreFileStatus.COMPLETED))
        assert ingestions.find_ingested(connection, ingested) is None


def test_file_that_is_added_again_has_a_newer_generation_than_its_chunks_that_leave(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        (first,) = add(connection, store_id, file_id).to_ingest
        # Of before the clock was set back.
        late = update(VECTOR_STORE_FILES).where(VECTOR_STORE_FILES.c.store_id == store_id)
        connection.execute(late.values(generation=first.generation + 1_000_000))

        _, removed = vector_store_files.remove(connection, PROJECT, store_id, file_id)
        (again,) = add(connection, store_id, file_id).to_ingest

        assert again.generation > removed.generation


def test_completed_file_that_is_added_again_stays_unless_its_chunks_change(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        add(connection, store_id, file_id)
        end(connection, store_id, file_id)

        same = add(connection, store_id, file_id, attributes={"a": 1})
        assert same.to_ingest == []
        assert (same.files[0].status, same.files[0].attributes) == (StoreFileStatus.COMPLETED, {"a": 1})
        other = add(connection, store_id, file_id, sizes=ChunkSizes(200, 0))
        assert other.files[0].status == StoreFileStatus.IN_PROGRESS
        assert other.files[0].usage_bytes == 0
        assert counts(connection, store_id) == (1, 0, 0, 0)


def test_batch_counts_its_files_and_is_cancelled_once(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection)
        first, second, alone = (new_file(connection) for _ in range(3))
        add(connection, store_id, alone)
        made = batch(connection, store_id, first, second)
        assert (made.status, made.file_counts.in_progress, made.file_counts.total) == ("in_progress", 2, 2)
        end(connection, store_id, first)

        cancelled = vector_store_file_batches.cancel(connection, PROJECT, store_id, made.id)
        again = vector_store_file_batches.cancel(connection, PROJECT, store_id, made.id)

        assert (cancelled.status, cancelled.file_counts.completed, cancelled.file_counts.cancelled) == (
            "cancelled",
            1,
            1,
        )
        assert again == cancelled
        assert counts(connection, store_id) == (1, 1, 0, 1)
        page = PageRequest(10, Order.ASC)
        listed = vector_store_files.list_page(connection, PROJECT, store_id, page, None, made.id)
        assert [file.id for file in listed.data] == [first, second]


def test_ended_batch_cannot_be_cancelled(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        made = batch(connection, store_id, file_id)
        end(connection, store_id, file_id, StoreFileStatus.FAILED)

        assert vector_store_file_batches.load(connection, PROJECT, store_id, made.id).status == "failed"
        with pytest.raises(WrongStatus, match="Cannot cancel file batch with status 'failed'"):
            vector_store_file_batches.cancel(connection, PROJECT, store_id, made.id)


def test_lists_by_status_and_goes_on_after_a_file_that_was_removed(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection)
        ids = [new_file(connection) for _ in range(4)]
        add(connection, store_id, *ids)
        end(connection, store_id, ids[1])
        # Twice, as the same file may be removed, added and removed.
        for _ in range(2):
            vector_store_files.remove(connection, PROJECT, store_id, ids[0])
            add(connection, store_id, ids[0])
        vector_store_files.remove(connection, PROJECT, store_id, ids[2])

        def listed(status: StoreFileStatus | None = None, **page: Any) -> list[str]:
            request = PageRequest(10, Order.ASC, **page)
            found = vector_store_files.list_page(connection, PROJECT, store_id, request, status)
            return [file.id for file in found.data]

        assert listed() == [ids[1], ids[3], ids[0]]
        assert listed(StoreFileStatus.COMPLETED) == [ids[1]]
        assert listed(after=ids[2]) == [ids[3], ids[0]]
        with pytest.raises(NotFound):
            listed(after="file-unknown")


def test_nothing_is_visible_across_projects(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id, theirs = new_store(connection), new_file(connection), new_file(connection, project=OTHER)
        add(connection, store_id, file_id)
        made = batch(connection, store_id, file_id)

        with pytest.raises(FileNotFound):
            add(connection, store_id, theirs)
        for attempt in (
            lambda: vector_stores.load(connection, OTHER, store_id),
            lambda: vector_stores.find_open(connection, OTHER, store_id),
            lambda: vector_stores.remove(connection, OTHER, store_id),
            lambda: vector_store_files.load(connection, OTHER, store_id, file_id),
            lambda: vector_store_files.remove(connection, OTHER, store_id, file_id),
            lambda: vector_store_files.modify(connection, OTHER, store_id, file_id, {}),
            lambda: vector_store_files.list_page(connection, OTHER, store_id, PageRequest(), None),
            lambda: vector_store_file_batches.load(connection, OTHER, store_id, made.id),
            lambda: vector_store_file_batches.cancel(connection, OTHER, store_id, made.id),
        ):
            with pytest.raises(NotFound):
                attempt()
        assert counts(connection, store_id) == (1, 0, 0, 0)


def test_deleted_file_leaves_every_store_of_its_project(database: Database) -> None:
    with writing(database) as connection:
        store_ids, file_id = [new_store(connection) for _ in range(2)], new_file(connection)
        for store_id in store_ids:
            add(connection, store_id, file_id, attributes={"a": "b"})

        files.remove(connection, PROJECT, file_id)

        assert [counts(connection, store_id) for store_id in store_ids] == [(0, 0, 0, 0)] * 2
        with pytest.raises(
            StoreFileNotFound, match=f"No file found with id '{file_id}' in vector store '{store_ids[0]}'"
        ):
            vector_store_files.load(connection, PROJECT, store_ids[0], file_id)


def test_deleted_store_leaves_no_row_and_has_its_index_dropped(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        removed = new_file(connection)
        add(connection, store_id, file_id, removed, attributes={"a": "b"})
        vector_store_files.remove(connection, PROJECT, store_id, removed)

        indexed = vector_stores.remove(connection, PROJECT, store_id)

        assert (indexed.id, indexed.embedding_model, indexed.dimensions) == (store_id, "minilm", 384)
        for table in (VECTOR_STORE_FILES, VECTOR_STORE_FILE_ATTRIBUTES, REMOVED_STORE_FILES):
            assert connection.scalar(select(func.count()).where(table.c.store_id == store_id)) == 0
        deletions = [row for row in index_deletions.oldest(connection, now_seconds(), 1000) if row.store_id == store_id]
        assert [row.file_id for row in deletions] == [removed, None]


def test_expired_store_refuses_and_is_emptied_once(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection, expires_after=Expiry(anchor="last_active_at", days=1))
        file_id = new_file(connection)
        add(connection, store_id, file_id)
        store = vector_stores.load(connection, PROJECT, store_id)
        assert store.expires_at == store.last_active_at + 86_400
        connection.execute(
            VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(expires_at=now_seconds())
        )

        with pytest.raises(VectorStoreExpired, match=f"Vector store '{store_id}' has expired"):
            add(connection, store_id, file_id)
        emptied = vector_stores.empty_expired(connection, 100)
        again = vector_stores.empty_expired(connection, 100)

        assert (store_id in {store.id for store in emptied}, store_id in {store.id for store in again}) == (True, False)
        store = vector_stores.load(connection, PROJECT, store_id)
        assert (store.status, store.usage_bytes, counts(connection, store_id)) == ("expired", 0, (0, 0, 0, 0))


def test_batch_ends_when_its_store_expires(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection, expires_after=Expiry(anchor="last_active_at", days=1))
        first, second = (new_file(connection) for _ in range(2))
        made = batch(connection, store_id, first, second)
        end(connection, store_id, first)
        expired = VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(expires_at=now_seconds())
        connection.execute(expired)

        vector_stores.empty_expired(connection, 100)

        ended = vector_store_file_batches.load(connection, PROJECT, store_id, made.id)
        numbers = ended.file_counts
        assert (ended.status, numbers.in_progress, numbers.completed, numbers.cancelled) == ("completed", 0, 1, 1)


def test_use_moves_the_expiry(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection, expires_after=Expiry(anchor="last_active_at", days=1))
        before = now_seconds() - 1000
        table = VECTOR_STORES
        connection.execute(
            table.update().where(table.c.id == store_id).values(last_active_at=before, expires_at=before + 86_400)
        )

        vector_stores.touch(connection, store_id)

        store = vector_stores.load(connection, PROJECT, store_id)
        assert store.last_active_at >= before + 1000
        assert store.expires_at == store.last_active_at + 86_400


@pytest.mark.parametrize(
    ("days", "seconds_ago", "is_due"),
    [(1, 0, False), (1, 1, True), (None, 0, False), (None, 50, False), (None, 60, True)],
)
def test_use_is_stored_where_it_changes_something(
    database: Database, days: int | None, seconds_ago: int, is_due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiry = Expiry(anchor="last_active_at", days=days) if days else None
    with writing(database) as connection:
        store_id = new_store(connection, expires_after=expiry)
        created = vector_stores.find_open(connection, PROJECT, store_id).last_active_at
        monkeypatch.setattr(vector_stores, "now_seconds", lambda: created + seconds_ago)

        assert vector_stores.is_use_due(vector_stores.find_open(connection, PROJECT, store_id)) is is_due
        vector_stores.touch(connection, store_id)

        used = vector_stores.load(connection, PROJECT, store_id)
        assert used.last_active_at == created + seconds_ago
        assert used.expires_at == (used.last_active_at + 86_400 if days else None)


def test_use_does_not_bring_an_expired_store_back(database: Database) -> None:
    with writing(database) as connection:
        store_id = new_store(connection, expires_after=Expiry(anchor="last_active_at", days=1))
        over = now_seconds() - 1
        connection.execute(
            VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(last_active_at=over, expires_at=over)
        )

        vector_stores.touch(connection, store_id)

        store = vector_stores.load(connection, PROJECT, store_id)
        assert (store.status, store.expires_at) == ("expired", over)


def test_store_is_full_at_its_limit_and_then_adds_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store_additions, "MAX_FILES_OF_STORE", 2)
    with writing(database) as connection:
        store_id = new_store(connection)
        first, second, third = (new_file(connection) for _ in range(3))
        add(connection, store_id, first, second)

        with pytest.raises(VectorStoreFull, match="at most 2 files"):
            add(connection, store_id, third)
        # It is there already.
        assert len(add(connection, store_id, first).files) == 1


def test_files_that_are_never_text_are_refused_at_once(database: Database) -> None:
    with writing(database) as connection:
        store_id, text, image = new_store(connection), new_file(connection), new_file(connection, "photo.PNG")

        with pytest.raises(
            UnsupportedExtensions, match=r"Files with extensions \[.png\] are not supported for retrieval"
        ):
            add(connection, store_id, text, image)


FILES_OF_FILTERS: dict[str, dict[str, Any]] = {
    "old": {"year": 2019, "lang": "en", "final": True, "price": 1.5},
    "new": {"year": 2024, "lang": "de", "final": False},
    # The same key of another type, and a letter that sorts otherwise by locale than by bytes.
    "text": {"year": "2024", "lang": "Éa"},
    "none": {},
}


@pytest.mark.parametrize(
    ("given", "matching"),
    [
        ({"type": "eq", "key": "year", "value": 2024}, "new"),
        ({"type": "eq", "key": "year", "value": "2024"}, "text"),
        ({"type": "eq", "key": "final", "value": True}, "old"),
        ({"type": "eq", "key": "final", "value": 1}, ""),
        ({"type": "ne", "key": "year", "value": 2024}, "old text none"),
        ({"type": "gt", "key": "year", "value": 2019}, "new"),
        ({"type": "gte", "key": "year", "value": 2019}, "old new"),
        ({"type": "lt", "key": "price", "value": 2}, "old"),
        ({"type": "lte", "key": "year", "value": 2019.0}, "old"),
        ({"type": "gt", "key": "lang", "value": "z"}, "text"),
        ({"type": "in", "key": "lang", "value": ["en", "de", 7]}, "old new"),
        ({"type": "in", "key": "lang", "value": []}, ""),
        ({"type": "nin", "key": "lang", "value": ["en", "de"]}, "text none"),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "lang", "value": "Éa"},
                    {
                        "type": "and",
                        "filters": [
                            {"type": "gte", "key": "year", "value": 2019},
                            {"type": "ne", "key": "final", "value": True},
                        ],
                    },
                ],
            },
            "new text",
        ),
    ],
)
def test_filters_mean_the_same_on_every_database(database: Database, given: dict[str, Any], matching: str) -> None:
    with writing(database) as connection:
        store_id = new_store(connection)
        names = {}
        for name, attributes in FILES_OF_FILTERS.items():
            file_id = new_file(connection)
            names[file_id] = name
            add(connection, store_id, file_id, attributes=attributes)
            end(connection, store_id, file_id)
        pending = new_file(connection)
        add(connection, store_id, pending, attributes=FILES_OF_FILTERS["new"])

        found = vector_store_files.searchable(connection, store_id, parse_filter(given))

        assert " ".join(names[file.id] for file in found) == matching


def test_attributes_are_replaced_with_their_index(database: Database) -> None:
    with writing(database) as connection:
        store_id, file_id = new_store(connection), new_file(connection)
        add(connection, store_id, file_id, attributes={"a": "old", "b": 1})
        end(connection, store_id, file_id)

        shown = vector_store_files.modify(connection, PROJECT, store_id, file_id, {"a": "new"})

        assert shown.attributes == {"a": "new"}
        for value, is_found in (("old", False), ("new", True)):
            given = parse_filter({"type": "eq", "key": "a", "value": value})
            assert bool(vector_store_files.searchable(connection, store_id, given)) is is_found
