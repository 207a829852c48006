"""What changes vector stores and their files. Each change is committed first, then workflows and index are commanded.

A command that does not succeed at once is left to the reconciler; the client gets the answer that the commit earned.
"""

import logging
from dataclasses import dataclass

from sqlalchemy import Connection

from api.idempotency import Idempotency
from infra.database import (
    vector_store_additions,
    vector_store_file_batches,
    vector_store_files,
    vector_stores,
)
from infra.database.engine import Database
from infra.database.ingestions import ingest_input
from infra.embeddings.embedders import Embedders
from infra.index_deletion import delete_up_to
from infra.ingest_workflows import IngestWorkflows, leave_to_reconciler
from infra.ports import VectorIndex
from infra.vector_index.errors import VectorIndexUnavailable
from models.ids import StoreFileName
from models.ingestion import IngestBatchInput, IngestInput
from models.search_index import IndexedFile, IndexedStore
from models.vector_stores import (
    Attachment,
    ChunkSizes,
    CreateFileBatchRequest,
    CreateVectorStoreFileRequest,
    CreateVectorStoreRequest,
    FileBatch,
    VectorStore,
    VectorStoreFile,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestCommands:
    database: Database
    workflows: IngestWorkflows
    vector_index: VectorIndex
    embedders: Embedders

    async def create_store(
        self, idempotency: Idempotency, project_id: str, body: CreateVectorStoreRequest
    ) -> VectorStore:
        """Create a store with its files, or neither. Raises what `vector_store_additions.add` raises."""
        batches: list[FileBatch] = []
        sizes = ChunkSizes.of(body.chunking_strategy)
        attachments = [Attachment(file_id, None, sizes) for file_id in dict.fromkeys(body.file_ids or ())]

        def create(connection: Connection) -> VectorStore:
            store, batch = self.insert_store(connection, project_id, body, attachments)
            batches.extend([batch] if batch else [])
            return store

        store = await idempotency.run(VectorStore, create)
        for batch in batches:
            await self.start_batch(batch)
        return store

    def insert_store(
        self, connection: Connection, project_id: str, body: CreateVectorStoreRequest, attachments: list[Attachment]
    ) -> tuple[VectorStore, FileBatch | None]:
        """Insert a store with its files. The batch has to be started after the commit."""
        embedder = self.embedders.for_new_stores
        model, dimensions = (embedder.model, embedder.dimensions) if embedder else (None, 0)
        store = vector_stores.create(connection, project_id, body, model, dimensions)
        if not attachments:
            return store, None
        row = vector_stores.lock_open(connection, project_id, store.id)
        # No client is given its id: it is how many files are ingested some at a time.
        batch = vector_store_file_batches.create(connection, row, attachments)
        return vector_stores.load(connection, project_id, store.id), batch

    async def add_file(
        self, idempotency: Idempotency, project_id: str, store_id: str, body: CreateVectorStoreFileRequest
    ) -> VectorStoreFile:
        """Raises `NotFound`, `VectorStoreExpired`, and what `vector_store_additions.add` raises."""
        to_ingest: list[IngestInput] = []

        def add(connection: Connection) -> VectorStoreFile:
            store = vector_store_additions.lock_store_for(connection, project_id, store_id, [body.file_id])
            added = vector_store_additions.add(connection, store, [Attachment.of(body)])
            to_ingest.extend(added.to_ingest)
            return added.files[0]

        file = await idempotency.run(VectorStoreFile, add)
        for each in to_ingest:
            await leave_to_reconciler("ingest", each.workflow_id, self.workflows.start(each))
        return file

    async def create_batch(
        self, idempotency: Idempotency, project_id: str, store_id: str, body: CreateFileBatchRequest
    ) -> FileBatch:
        """Raises `NotFound`, `VectorStoreExpired`, and what `vector_store_additions.add` raises."""

        def create(connection: Connection) -> FileBatch:
            return self.insert_batch(connection, project_id, store_id, body.attachments())

        batch = await idempotency.run(FileBatch, create)
        # Again for a repeat: to start what was started does nothing.
        await self.start_batch(batch)
        return batch

    def insert_batch(
        self, connection: Connection, project_id: str, store_id: str, attachments: list[Attachment]
    ) -> FileBatch:
        """Add files to a store as a batch, which has to be started after the commit. Raises as `create_batch`."""
        ids = [each.file_id for each in attachments]
        store = vector_store_additions.lock_store_for(connection, project_id, store_id, ids)
        return vector_store_file_batches.create(connection, store, attachments)

    async def cancel_batch(self, idempotency: Idempotency, project_id: str, store_id: str, batch_id: str) -> FileBatch:
        """Raises what `vector_store_file_batches.cancel` raises."""
        batch = await idempotency.run(
            FileBatch,
            lambda connection: vector_store_file_batches.cancel(connection, project_id, store_id, batch_id),
        )
        await leave_to_reconciler("cancel", batch_id, self.workflows.cancel_batch(batch_id))
        return batch

    async def retry(self, idempotency: Idempotency, project_id: str, name: StoreFileName, by: str) -> VectorStoreFile:
        """Ingest a failed file anew. Raises what `vector_store_additions.retry` raises."""
        to_ingest: list[IngestInput] = []

        def retry(connection: Connection) -> VectorStoreFile:
            row = vector_store_additions.retry(connection, project_id, name.store_id, name.file_id)
            to_ingest.append(ingest_input(row))
            return vector_store_files.to_file(row)

        file = await idempotency.run(VectorStoreFile, retry)
        for each in to_ingest:
            log.info("ingestion.retried", extra={"store_id": each.store_id, "file_id": each.file_id, "by": by})
            await leave_to_reconciler("ingest", each.workflow_id, self.workflows.start(each))
        return file

    async def remove_file(self, project_id: str, store_id: str, file_id: str) -> None:
        """Raises `NotFound`, `StoreFileNotFound`. An ingestion that is at work on it finds its row gone."""
        store, file = await self.database.write(vector_store_files.remove, project_id, store_id, file_id)
        await self.remove_from_index(store, file)

    async def remove_store(self, project_id: str, store_id: str) -> None:
        """Raises `NotFound`."""
        store = await self.database.write(vector_stores.remove, project_id, store_id)
        try:
            await self.vector_index.drop(store)
        except VectorIndexUnavailable as error:
            log.warning("index.delete_delayed", extra={"store_id": store_id, "reason": error.reason})

    async def remove_from_index(self, store: IndexedStore, file: IndexedFile) -> None:
        """Remove the chunks of a file whose row is gone, but for those of one that was added again meanwhile."""
        try:
            await delete_up_to(self.vector_index, store, file)
        except VectorIndexUnavailable as error:
            log.warning("index.delete_delayed", extra={"store_id": store.id, "reason": error.reason})

    async def start_batch(self, batch: FileBatch) -> None:
        """Command the ingestion of a batch. Of one that was started, this does nothing."""
        if batch.status == "in_progress":
            command = IngestBatchInput(batch.id)
            await leave_to_reconciler("ingest", command.workflow_id, self.workflows.start_batch(command))
