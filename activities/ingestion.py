"""Makes a file searchable: parse, chunk, embed and index, then one commit that says so."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from temporalio import activity

from activities.failures import WorkerStopped, passing_failure
from activities.heartbeat import heartbeating
from infra.database import ingestions
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.documents.chunking import chunks
from infra.documents.errors import DocumentUnreadable
from infra.documents.parsing import parse
from infra.embeddings.embedders import Embedders
from infra.embeddings.errors import EmbeddingFailed
from infra.embeddings.windows import embedded_chunks
from infra.index_deletion import delete_up_to
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore, VectorIndex
from models.chunks import Chunk
from models.documents import FileErrorCode
from models.ingestion import IngestBatchInput, IngestEnd, IngestError, IngestInput, PendingFiles
from models.search_index import IndexedChunk, IndexedFile, IndexedStore
from models.stored_objects import KeyPrefix, object_key
from models.vector_stores import MAX_FILE_TOKENS, StoreFileStatus

CHUNKS_AT_A_TIME = 16
BYTES_PER_NUMBER = 4
BATCH_PAGE = 200
CONTENT_MISSING = "The file's content is missing in the object store."

log = logging.getLogger(__name__)


@dataclass
class _Progress:
    """How many of all chunks are in the index, and the bytes that they take there."""

    total: int = 0
    done: int = 0
    usage_bytes: int = 0

    @classmethod
    def of_last_attempt(cls) -> "_Progress":
        details = activity.info().heartbeat_details
        return cls(*details) if len(details) == 3 else cls()

    def details(self) -> Sequence[int]:
        return self.total, self.done, self.usage_bytes


class Ingestion:
    def __init__(
        self, database: Database, object_store: ObjectStore, embedders: Embedders, vector_index: VectorIndex
    ) -> None:
        self._database = database
        self._object_store = object_store
        self._embedders = embedders
        self._index = vector_index

    @activity.defn(name="Ingestion.ingest")
    async def ingest(self, file: IngestInput) -> StoreFileStatus:
        """Make the file searchable, or let its row say why it cannot be. Returns the status that it ends in.

        It looks at its row before it adds each batch of chunks, and stops where the file was cancelled, removed, or
        ingested anew. A new attempt goes on behind the chunks that are indexed. Raises retryable `ApplicationError`s,
        and outages.
        """
        progress = _Progress.of_last_attempt()
        async with heartbeating(progress.details):
            try:
                return await self._ingest(file, progress)
            except asyncio.CancelledError:
                details = activity.cancellation_details()
                if details and details.worker_shutdown:
                    raise WorkerStopped from None
                raise

    async def _ingest(self, file: IngestInput, progress: _Progress) -> StoreFileStatus:
        found = await self._database.read(ingestions.find_ingested, file)
        if found is None:
            return await self._database.read(ingestions.status_of, file)
        row, store = found
        try:
            cut = await self._chunks(row)
            if not await self._index_chunks(file, store, cut, progress):
                return await self._database.read(ingestions.status_of, file)
        except DocumentUnreadable as error:
            return await self._fail(file, error.code, str(error))
        except ObjectMissing:
            return await self._fail(file, FileErrorCode.SERVER_ERROR, CONTENT_MISSING)
        except EmbeddingFailed as error:
            if error.is_retryable:
                raise passing_failure(FileErrorCode.SERVER_ERROR, error, error.retry_after) from None
            return await self._fail(file, FileErrorCode.SERVER_ERROR, str(error))
        ended = IngestEnd(file, StoreFileStatus.COMPLETED, usage_bytes=progress.usage_bytes)
        return await self._end(ended, [chunk.overlap for chunk in cut])

    async def _chunks(self, row: AnyRow) -> Sequence[Chunk]:
        content: AsyncGenerator[bytes, None] = self._object_store.get(object_key(KeyPrefix.FILE, row.id))
        async with aclosing(content):
            document = await parse(content, row.filename)
        sizes = row.max_chunk_size_tokens, row.chunk_overlap_tokens
        return await asyncio.to_thread(chunks, document, *sizes, MAX_FILE_TOKENS)

    async def _index_chunks(
        self, file: IngestInput, store: IndexedStore, cut: Sequence[Chunk], progress: _Progress
    ) -> bool:
        """False where the row is no longer in progress in this generation."""
        indexed = IndexedFile(file.file_id, file.generation)
        if progress.total != len(cut):
            # The first attempt, or one whose chunks were cut by another version of this program.
            progress.total, progress.done, progress.usage_bytes = len(cut), 0, 0
            # Not those of a newer one: this attempt may have been superseded while it read the file.
            await delete_up_to(self._index, store, indexed)
        embedder = await self._embedders.of(store)
        while progress.done < len(cut):
            end = progress.done + CHUNKS_AT_A_TIME
            batch = await embedded_chunks(embedder, cut[progress.done : end], next(iter(cut[end : end + 1]), None))
            # After the embedding, which may take a minute: chunks that came so late would stay in the index.
            if not await self._database.read(ingestions.is_ingested, file):
                return False
            await self._index.upsert(store, indexed, batch)
            progress.done += len(batch)
            progress.usage_bytes += sum(_size(chunk, store.dimensions) for chunk in batch)
            activity.heartbeat(*progress.details())
        return True

    async def _fail(self, file: IngestInput, code: FileErrorCode, message: str) -> StoreFileStatus:
        return await self._end(IngestEnd(file, StoreFileStatus.FAILED, IngestError(code, message)), [])

    async def _end(self, ended: IngestEnd, overlaps: Sequence[int]) -> StoreFileStatus:
        if await self._database.write(ingestions.end, ended, overlaps):
            log.info("ingestion.ended", extra=_facts(ended))
            return ended.status
        return await self._database.read(ingestions.status_of, ended.file)


class IngestionEnds:
    """What becomes of an ingestion outside its one activity, and which files of a batch are left."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="IngestionEnds.end")
    async def end(self, ended: IngestEnd) -> StoreFileStatus:
        """End it unless it has ended already. Returns the status that it has then."""
        if await self._database.write(ingestions.end, ended):
            return ended.status
        return await self._database.read(ingestions.status_of, ended.file)

    @activity.defn(name="IngestionEnds.pending")
    async def pending(self, batch: IngestBatchInput) -> PendingFiles:
        """The next page of a batch's files that are in progress."""
        rows = await self._database.read(ingestions.pending_of_batch, batch.batch_id, batch.after, BATCH_PAGE)
        after = rows[-1].seq if len(rows) == BATCH_PAGE else None
        return PendingFiles([ingestions.ingest_input(row) for row in rows], after)


def _facts(ended: IngestEnd) -> dict[str, str]:
    facts = {"store_id": ended.file.store_id, "file_id": ended.file.file_id, "status": ended.status.value}
    return facts | {"error": ended.error.code.value} if ended.error else facts


def _size(chunk: IndexedChunk, dimensions: int) -> int:
    return len(chunk.text.encode()) + len(chunk.vectors) * dimensions * BYTES_PER_NUMBER
