"""Plans of the queries of files, uploads and vector stores: each finds its rows by an index, in their order."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, Table, update

from infra.database import (
    assistant_files,
    changed_files,
    doomed_objects,
    files,
    index_deletions,
    ingestions,
    ops_files,
    uploads,
    vector_store_additions,
    vector_store_file_batches,
    vector_store_files,
    vector_stores,
)
from infra.database.columns import AnyRow
from infra.database.connections import POSTGRES
from infra.database.engine import Database
from infra.database.file_tables import FILES, UPLOADS
from infra.database.files import StoredFile
from infra.database.ops_files import FileFilter
from infra.database.vector_store_tables import VECTOR_STORES
from models.files import Purpose
from models.ids import new_file_id
from models.ingestion import IngestEnd, IngestInput
from models.lists import Order, PageRequest
from models.uploads import CreateUploadRequest
from models.vector_store_search import parse_filter
from models.vector_stores import (
    Attachment,
    ChunkSizes,
    CreateVectorStoreRequest,
    Expiry,
    ModifyVectorStoreRequest,
    StoreFileStatus,
)
from tests.database import writing
from tests.infra.database.conftest import PROJECT, SHARES_FILLED
from tests.infra.database.plans import BY_ID, plan_of

pytestmark = SHARES_FILLED


@dataclass(frozen=True)
class Stored:
    """A file in progress in a store, of a batch; an upload and its part."""

    file_id: str
    store_id: str
    batch_id: str
    ingest: IngestInput
    upload_id: str
    part_id: str

    def attachments(self) -> list[Attachment]:
        return [Attachment(self.file_id, {"year": 2024}, ChunkSizes(200, 0))]


Query = Callable[[Connection, Stored], object]
FILE, UPLOAD, STORE, BATCH, DELETED, DOOMED, PART, ATTRIBUTES = (
    BY_ID.format(table)
    for table in (
        "files",
        "uploads",
        "vector_stores",
        "vector_store_file_batches",
        "deleted_items",
        "doomed_objects",
        "upload_parts",
        "vector_store_file_attributes",
    )
)
IN_STORE = BY_ID.format("vector_store_files")
REMOVED = BY_ID.format("removed_store_files")
OF_REMOVED_FILE = {
    "deleted_items_by_age",
    "vector_store_files_by_file",
    *(DELETED, FILE, ATTRIBUTES, BATCH, IN_STORE, STORE, REMOVED),
}
BY_SEQ = set[str]()
ALSO_FINDS_ONE = {f"vector_store_files_{name}" for name in ("by_file", "by_status", "by_store", "not_completed")}
"""Postgres decides by its statistics by which index it finds one file of a store."""
FIRST, LAST = PageRequest(), PageRequest(order=Order.ASC)
OF_STATUS = StoreFileStatus.COMPLETED


def expired(connection: Connection, table: Table, object_id: str) -> object:
    return connection.execute(update(table).where(table.c.id == object_id).values(expires_at=0))


def store_row(connection: Connection, stored: Stored) -> AnyRow:
    return vector_stores.find_open(connection, PROJECT, stored.store_id)


@pytest.fixture
def stored(filled: Database) -> Stored:
    with writing(filled) as connection:
        file_id = files.create(connection, PROJECT, StoredFile(new_file_id(), "a.md", Purpose.ASSISTANTS, 3)).id
        expiry = Expiry(anchor="last_active_at", days=1)
        body = CreateVectorStoreRequest(expires_after=expiry)
        store_id = vector_stores.create(connection, PROJECT, body, "m", 3).id
        store = vector_store_additions.lock_store_for(connection, PROJECT, store_id, [file_id])
        batch = vector_store_file_batches.create(connection, store, [Attachment(file_id, {"year": 1}, ChunkSizes())])
        ingest = ingestions.ingest_input(vector_store_files.find(connection, PROJECT, store_id, file_id))
        upload = uploads.create(
            connection,
            PROJECT,
            CreateUploadRequest(bytes=3, filename="a.md", mime_type="text/plain", purpose="assistants"),
        )
        part = uploads.add_part(connection, PROJECT, upload.id, f"part_{upload.id}", 3)
    return Stored(file_id, store_id, batch.id, ingest, upload.id, part.id)


CASES: dict[str, tuple[Query, set[str]]] = {
    "failed-files": (
        lambda connection, _: ops_files.list_page(connection, None, FIRST, FileFilter("failed", since=5)),
        {"vector_store_files_not_completed"},
    ),
    "failed-files-of-a-store": (
        lambda connection, stored: ops_files.list_page(
            connection, PROJECT, FIRST, FileFilter("failed", stored.store_id)
        ),
        {"vector_store_files_by_status"},
    ),
    "load-file": (lambda connection, stored: files.load(connection, PROJECT, stored.file_id), {FILE}),
    "find-files": (lambda connection, _: files.find(connection, PROJECT, ["file-x", "file-y"]), {FILE}),
    "known-files": (lambda connection, _: files.known(connection, ["file-x", "file-y"]), {FILE}),
    "list-files": (
        lambda connection, _: files.list_page(connection, PROJECT, PageRequest(10_000)),
        {"files_by_project"},
    ),
    "list-files-after": (
        lambda connection, stored: files.list_page(connection, PROJECT, PageRequest(after=stored.file_id)),
        {"files_by_project", FILE},
    ),
    "list-files-before": (
        lambda connection, stored: files.list_page(connection, PROJECT, PageRequest(before=stored.file_id)),
        {"files_by_project", FILE},
    ),
    "list-files-after-unknown": (
        lambda connection, _: files.list_page(connection, PROJECT, PageRequest(after="file-x")),
        {DELETED, FILE},
    ),
    "list-files-of-a-purpose": (
        lambda connection, _: files.list_page(connection, PROJECT, LAST, Purpose.VISION),
        {"files_by_purpose"},
    ),
    "delete-file": (
        lambda connection, stored: files.remove(connection, PROJECT, stored.file_id),
        OF_REMOVED_FILE,
    ),
    "expire-files": (
        lambda connection, stored: (expired(connection, FILES, stored.file_id), files.remove_expired(connection, 10)),
        OF_REMOVED_FILE | {"files_by_expiry"},
    ),
    "files-to-check": (lambda connection, _: files.page_after(connection, 5, 10), BY_SEQ),
    "mark-lost": (lambda connection, stored: files.mark_lost(connection, stored.file_id), {FILE}),
    "doomed-objects": (lambda connection, _: doomed_objects.oldest(connection, 5, 10), {"doomed_objects_by_age"}),
    "forget-doomed": (lambda connection, _: doomed_objects.remove(connection, ["x1", "x2"]), {DOOMED}),
    "load-upload": (lambda connection, stored: uploads.check_pending(connection, PROJECT, stored.upload_id), {UPLOAD}),
    "add-part": (
        lambda connection, stored: uploads.add_part(connection, PROJECT, stored.upload_id, "part_new", 3),
        {UPLOAD, "upload_parts_by_upload"},
    ),
    "assemble": (
        lambda connection, stored: uploads.assembly(connection, PROJECT, stored.upload_id, [stored.part_id]),
        {UPLOAD, "upload_parts_by_upload"},
    ),
    "complete-upload": (
        lambda connection, stored: uploads.complete(
            connection,
            PROJECT,
            stored.upload_id,
            [stored.part_id],
            StoredFile("file-new", "a.md", Purpose.ASSISTANTS, 3),
        ),
        {FILE, UPLOAD, "upload_parts_by_upload"},
    ),
    "cancel-upload": (
        lambda connection, stored: uploads.cancel(connection, PROJECT, stored.upload_id),
        {UPLOAD, "upload_parts_by_upload"},
    ),
    "expire-uploads": (
        lambda connection, stored: (expired(connection, UPLOADS, stored.upload_id), uploads.expire(connection, 10)),
        {UPLOAD, "upload_parts_by_upload", "uploads_pending"},
    ),
    "known-parts": (lambda connection, _: uploads.known_parts(connection, ["part_x", "part_y"]), {PART}),
    "load-store": (lambda connection, stored: vector_stores.load(connection, PROJECT, stored.store_id), {STORE}),
    "list-stores": (
        lambda connection, _: vector_stores.list_page(connection, PROJECT, FIRST),
        {"vector_stores_by_project"},
    ),
    "list-stores-after": (
        lambda connection, stored: vector_stores.list_page(connection, PROJECT, PageRequest(after=stored.store_id)),
        {STORE, "vector_stores_by_project"},
    ),
    "modify-store": (
        lambda connection, stored: vector_stores.modify(
            connection, PROJECT, stored.store_id, ModifyVectorStoreRequest(name="x")
        ),
        {STORE},
    ),
    "touch-store": (lambda connection, stored: vector_stores.touch(connection, stored.store_id), {STORE}),
    "lock-stores": (lambda connection, _: vector_stores.lock_all(connection, ["x1", "x2"]), {STORE}),
    "delete-store": (
        lambda connection, stored: vector_stores.remove(connection, PROJECT, stored.store_id),
        {
            "deleted_items_by_age",
            DELETED,
            STORE,
            "vector_store_file_attributes_by_store",
            "vector_store_file_batches_by_store",
            "vector_store_files_by_version",
            REMOVED,
        },
    ),
    "empty-stores": (
        lambda connection, stored: (
            expired(connection, VECTOR_STORES, stored.store_id),
            vector_stores.empty_expired(connection, 10),
        ),
        {
            STORE,
            "vector_store_file_attributes_by_store",
            "vector_store_file_batches_by_store",
            "vector_store_files_by_version",
            "vector_stores_by_expiry",
            REMOVED,
        },
    ),
    "add-file": (
        lambda connection, stored: vector_store_additions.add(
            connection,
            vector_store_additions.lock_store_for(connection, PROJECT, stored.store_id, [stored.file_id]),
            stored.attachments(),
        ),
        {FILE, ATTRIBUTES, BATCH, IN_STORE, STORE},
    ),
    "load-store-file": (
        lambda connection, stored: vector_store_files.load(connection, PROJECT, stored.store_id, stored.file_id),
        {IN_STORE, STORE},
    ),
    "first-files-of-stores": (
        lambda connection, stored: assistant_files.of_stores(connection, PROJECT, [stored.store_id, "vs_x"]),
        {"vector_store_files_by_store"},
    ),
    "has-store": (lambda connection, stored: vector_stores.exists(connection, PROJECT, stored.store_id), {STORE}),
    "list-store-files": (
        lambda connection, stored: vector_store_files.list_page(connection, PROJECT, stored.store_id, FIRST, None),
        {STORE, "vector_store_files_by_store"},
    ),
    "list-store-files-after": (
        lambda connection, stored: vector_store_files.list_page(
            connection, PROJECT, stored.store_id, PageRequest(after=stored.file_id), None
        ),
        {IN_STORE, STORE, "vector_store_files_by_store"},
    ),
    "list-store-files-after-unknown": (
        lambda connection, stored: vector_store_files.list_page(
            connection, PROJECT, stored.store_id, PageRequest(after="x"), None
        ),
        {DELETED, IN_STORE, STORE},
    ),
    "list-store-files-of-a-status": (
        lambda connection, stored: vector_store_files.list_page(connection, PROJECT, stored.store_id, LAST, OF_STATUS),
        {STORE, "vector_store_files_by_status"},
    ),
    "list-batch-files": (
        lambda connection, stored: vector_store_files.list_page(
            connection, PROJECT, stored.store_id, FIRST, None, stored.batch_id
        ),
        {STORE, "vector_store_files_by_batch"},
    ),
    "list-batch-files-of-a-status": (
        lambda connection, stored: vector_store_files.list_page(
            connection, PROJECT, stored.store_id, LAST, OF_STATUS, stored.batch_id
        ),
        {STORE, "vector_store_files_by_batch_status"},
    ),
    "modify-store-file": (
        lambda connection, stored: vector_store_files.modify(
            connection, PROJECT, stored.store_id, stored.file_id, {"year": 2025}
        ),
        {ATTRIBUTES, IN_STORE, STORE},
    ),
    "remove-store-file": (
        lambda connection, stored: vector_store_files.remove(connection, PROJECT, stored.store_id, stored.file_id),
        {"deleted_items_by_age", DELETED, ATTRIBUTES, BATCH, IN_STORE, STORE, REMOVED},
    ),
    "find-ingested": (
        lambda connection, stored: ingestions.find_ingested(connection, stored.ingest),
        {IN_STORE, STORE},
    ),
    "status-of": (lambda connection, stored: ingestions.status_of(connection, stored.ingest), {IN_STORE}),
    "end-ingestion": (
        lambda connection, stored: ingestions.end(connection, IngestEnd(stored.ingest, OF_STATUS)),
        {BATCH, IN_STORE, STORE},
    ),
    "searchable": (
        lambda connection, stored: vector_store_files.searchable(connection, stored.store_id, None),
        {"vector_store_files_by_status"},
    ),
    "searchable-by-attribute": (
        lambda connection, stored: vector_store_files.searchable(
            connection, stored.store_id, parse_filter({"type": "gte", "key": "year", "value": 2024})
        ),
        {"vector_store_file_attributes_by_number", "vector_store_files_by_status"},
    ),
    "changed-files": (
        lambda connection, stored: changed_files.since(connection, store_row(connection, stored), 0, None),
        {STORE, "vector_store_files_by_version", REMOVED},
    ),
    "changed-files-by-attribute": (
        lambda connection, stored: changed_files.since(
            connection,
            store_row(connection, stored),
            0,
            parse_filter({"type": "gte", "key": "year", "value": 2024}),
        ),
        {STORE, "vector_store_files_by_version", ATTRIBUTES, REMOVED},
    ),
    "searchable-among": (
        lambda connection, stored: vector_store_files.searchable_among(
            connection, stored.store_id, [stored.file_id, "file-x"]
        ),
        {IN_STORE},
    ),
    "named": (
        lambda connection, stored: vector_store_files.named(connection, stored.store_id, [stored.file_id, "file-x"]),
        {IN_STORE},
    ),
    "take-due": (
        lambda connection, _: ingestions.take_due(connection, 10, 1),
        {"vector_store_files_in_progress"},
    ),
    "pending-of-batch": (
        lambda connection, stored: ingestions.pending_of_batch(connection, stored.batch_id, 0, 10),
        {"vector_store_files_by_batch_status"},
    ),
    "load-batch": (
        lambda connection, stored: vector_store_file_batches.load(
            connection, PROJECT, stored.store_id, stored.batch_id
        ),
        {BATCH, STORE},
    ),
    "cancel-batch": (
        lambda connection, stored: vector_store_file_batches.cancel(
            connection, PROJECT, stored.store_id, stored.batch_id
        ),
        {BATCH, STORE, "vector_store_files_by_batch_status"},
    ),
    "index-deletions": (lambda connection, _: index_deletions.oldest(connection, 10, 10), {"index_deletions_by_age"}),
    "newest-generation": (
        lambda connection, stored: index_deletions.newest_generation(connection, stored.store_id, [stored.file_id]),
        {"index_deletions_by_file"},
    ),
    "generation-to-keep": (
        lambda connection, stored: index_deletions.generation_to_keep(connection, stored.store_id, stored.file_id),
        {IN_STORE},
    ),
    "forget-deletion": (lambda connection, _: index_deletions.forget(connection, 1), BY_SEQ),
}


@pytest.mark.parametrize("name", CASES)
def test_query_uses_its_index(filled: Database, stored: Stored, name: str) -> None:
    query, indexes = CASES[name]

    plan = plan_of(filled, lambda connection: query(connection, stored))

    assert not plan.scans_and_sorts
    if filled.engine.dialect.name == POSTGRES:
        assert plan.indexes <= indexes | ALSO_FINDS_ONE
    else:
        assert plan.indexes == indexes
