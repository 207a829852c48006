"""Ingestion in a running Holdfast: cancelled, resumed, repeated, lost, and what stays behind."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from openai import BadRequestError, InternalServerError
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from activities import ingest_reconciler
from activities.ingest_reconciler import LOST_WORKFLOW, IngestReconciler, IngestReport
from activities.ingestion import CONTENT_MISSING, Ingestion
from infra.clock import now_seconds
from infra.database import vector_store_files, vector_stores
from infra.database.tables import VECTOR_STORE_FILES, VECTOR_STORES
from infra.embeddings.embedders import Embedders
from infra.embeddings.errors import EmbeddingRefused, EmbeddingUnavailable
from infra.ingest_workflows import IngestWorkflows
from infra.ports import Embedder
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_store_search import VectorStoreSearch
from models.ingestion import IngestBatchInput, IngestInput
from models.search_index import IndexedFile, IndexedStore
from models.stored_objects import KeyPrefix, object_key
from models.vector_store_search import SearchRequest
from models.vector_stores import Attachment, ChunkSizes, StoreFileStatus
from tests.holdfast import RunningHoldfast
from tests.stored_files import DEFAULT_PROJECT, store_file

SHORT = "Employees get twenty-five days of paid vacation each year."
LONG = " ".join(f"Sentence number {number} says nothing new." for number in range(500))
STATIC: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}


class WatchedEmbedder:
    """Counts the texts it embeds, and from a number of them on waits until it is let go."""

    def __init__(self, waits_after: int | None = None, fails: Exception | None = None, model: str = "watched") -> None:
        self.model = model
        self.dimensions = 2
        self.embedded = 0
        self.is_waiting = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self._waits_after = waits_after
        self._fails = fails

    async def windows(self, text: str) -> Sequence[str]:
        return [text]

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if self._fails:
            error, self._fails = self._fails, None
            raise error
        if self._waits_after is not None and self.embedded >= self._waits_after:
            self.is_waiting.set()
            await self.may_go_on.wait()
        self.embedded += len(texts)
        return [[1.0, 0.0] for _ in texts]


@pytest.fixture
async def holdfast(own_holdfast: RunningHoldfast) -> RunningHoldfast:
    """Without a worker until the test starts one; the embedder is the test's."""
    return use(own_holdfast, WatchedEmbedder())


def use(holdfast: RunningHoldfast, embedder: Embedder | None) -> RunningHoldfast:
    return use_all(holdfast, Embedders(embedder, _no_other))


def use_all(holdfast: RunningHoldfast, embedders: Embedders) -> RunningHoldfast:
    holdfast.resources = replace(holdfast.resources, embedders=embedders)
    return holdfast


async def _no_other(model: str, dimensions: int) -> Embedder:
    raise EmbeddingRefused(f"There is no '{model}' any more.")


async def added(holdfast: RunningHoldfast, content: bytes | str = SHORT, is_commanded: bool = True) -> IngestInput:
    """A file in a store of its own, whose vectors are the test's; without a command no workflow is started."""
    resources = holdfast.resources
    store = await holdfast.client.vector_stores.create()
    await resources.database.write(
        lambda connection: connection.execute(
            VECTOR_STORES.update().where(VECTOR_STORES.c.id == store.id).values(embedding_model="watched", dimensions=2)
        )
    )
    file_id = await store_file(resources, content)
    (file,) = await resources.database.write(
        lambda connection: (
            vector_store_files.add(
                connection,
                vector_stores.lock_open(connection, DEFAULT_PROJECT, store.id),
                [Attachment(file_id, None, ChunkSizes(100, 0))],
            ).to_ingest
        )
    )
    if is_commanded:
        await workflows(holdfast).start(file)
    return file


def workflows(holdfast: RunningHoldfast) -> IngestWorkflows:
    return IngestWorkflows(holdfast.resources.temporal, holdfast.resources.settings)


async def ended(holdfast: RunningHoldfast, file: IngestInput) -> Any:
    """The file, once it is no longer in progress."""
    async with asyncio.timeout(40):
        while True:
            found = await holdfast.client.vector_stores.files.retrieve(file.file_id, vector_store_id=file.store_id)
            if found.status != "in_progress":
                return found
            await asyncio.sleep(0.02)


async def closed(holdfast: RunningHoldfast, workflow_id: str) -> WorkflowExecutionStatus | None:
    handle = holdfast.resources.temporal.get_workflow_handle(workflow_id)
    async with asyncio.timeout(40):
        while (status := (await handle.describe()).status) is WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(0.02)
    return status


async def reported(holdfast: RunningHoldfast, file: IngestInput, chunks: int) -> None:
    """Wait until Temporal knows that so many chunks are indexed."""
    handle = holdfast.resources.temporal.get_workflow_handle(file.workflow_id)
    async with asyncio.timeout(20):
        while True:
            (pending,) = (await handle.describe()).raw_description.pending_activities
            details = await decoded(holdfast, pending.heartbeat_details.payloads)
            if len(details) == 3 and details[1] >= chunks:
                return
            await asyncio.sleep(0.02)


async def decoded(holdfast: RunningHoldfast, payloads: Any) -> list[Any]:
    return await holdfast.resources.temporal.data_converter.decode(payloads) if payloads else []


async def ingest(holdfast: RunningHoldfast, file: IngestInput, details: Sequence[int] = ()) -> StoreFileStatus:
    """Run the activity itself, as an attempt after one that left `details`."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_details=list(details))
    resources = holdfast.resources
    ingestion = Ingestion(resources.database, resources.object_store, resources.embedders, resources.vector_index)
    return await environment.run(ingestion.ingest, file)


async def reconcile(holdfast: RunningHoldfast) -> IngestReport:
    """Reconcile at once what would be due later."""
    resources = holdfast.resources
    await resources.database.write(
        lambda connection: connection.execute(VECTOR_STORE_FILES.update().values(next_check_at=0))
    )
    reconciler = IngestReconciler(resources.database, workflows(holdfast), resources.vector_index)
    report: IngestReport = await ActivityEnvironment().run(reconciler.reconcile)
    return report


async def indexed(holdfast: RunningHoldfast, file: IngestInput) -> int:
    """How many chunks of the file are in the index, in whatever generation."""
    row = await holdfast.resources.database.read(vector_stores.find_any, file.store_id)
    store = vector_stores.indexed(row) if row else IndexedStore(file.store_id, "watched", 2)
    found = IndexedFile(file.file_id, file.generation)
    return len(await holdfast.resources.vector_index.chunks(store, found, -1, 1000))


async def test_completed_file_is_not_ingested_again(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)

    first = await ingest(holdfast, file)
    embedder = WatchedEmbedder()
    second = await ingest(use(holdfast, embedder), file)

    assert (first, second, embedder.embedded) == ("completed", "completed", 0)
    assert await indexed(holdfast, file) == 1


@pytest.mark.any_database
@pytest.mark.slow
async def test_attempt_goes_on_behind_the_chunks_that_are_indexed(holdfast: RunningHoldfast) -> None:
    embedder = WatchedEmbedder(waits_after=32)
    await use(holdfast, embedder).start_worker()
    file = await added(holdfast, LONG)
    await embedder.is_waiting.wait()
    await reported(holdfast, file, chunks=32)

    await holdfast.stop_worker()
    other = WatchedEmbedder()
    await use(holdfast, other).start_worker()
    found = await ended(holdfast, file)

    assert found.status == "completed"
    total = await indexed(holdfast, file)
    assert 0 < other.embedded < total
    content = await holdfast.client.vector_stores.files.content(file.file_id, vector_store_id=file.store_id)
    assert "".join(part.text or "" for part in content.data) == LONG


async def test_progress_of_other_chunks_is_not_trusted(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, LONG, is_commanded=False)

    assert await ingest(holdfast, file, details=[7, 5, 100]) == "completed"

    embedder = holdfast.resources.embedders.for_new_stores
    assert isinstance(embedder, WatchedEmbedder)
    assert embedder.embedded == await indexed(holdfast, file) > 7


async def test_cancelled_batch_ends_its_workflows_and_completes_nothing(holdfast: RunningHoldfast) -> None:
    embedder = WatchedEmbedder(waits_after=0)
    await use(holdfast, embedder).start_worker()
    file = await added(holdfast, is_commanded=False)
    batches = holdfast.client.vector_stores.file_batches
    batch = await batches.create(file.store_id, file_ids=[file.file_id], chunking_strategy=STATIC)
    await embedder.is_waiting.wait()

    cancelled = await batches.cancel(batch.id, vector_store_id=file.store_id)

    assert (cancelled.status, cancelled.file_counts.in_progress, cancelled.file_counts.cancelled) == ("cancelled", 0, 1)
    status = await closed(holdfast, IngestBatchInput(batch.id).workflow_id)
    assert status is WorkflowExecutionStatus.CANCELED
    assert (await ended(holdfast, file)).status == "cancelled"
    store = await holdfast.client.vector_stores.retrieve(file.store_id)
    assert (store.status, store.file_counts.cancelled, store.file_counts.total) == ("completed", 1, 1)


async def test_removed_file_stops_its_ingestion_and_leaves_no_chunk(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = WatchedEmbedder(waits_after=16)
    await use(holdfast, embedder).start_worker()
    file = await added(holdfast, LONG)
    await embedder.is_waiting.wait()
    assert await indexed(holdfast, file) == 16

    await holdfast.client.vector_stores.files.delete(file.file_id, vector_store_id=file.store_id)
    embedder.may_go_on.set()

    assert await closed(holdfast, file.workflow_id) is WorkflowExecutionStatus.COMPLETED
    # What the activity added after the deletion goes with its repetition.
    monkeypatch.setattr(ingest_reconciler, "DELETED_FOR", -ingest_reconciler.DELETED_FOR)
    assert (await reconcile(holdfast)).deleted == 1
    assert await indexed(holdfast, file) == 0
    assert (await reconcile(holdfast)).deleted == 0


async def test_lost_start_is_repeated(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)
    assert (await reconcile(holdfast)).started == 1

    await holdfast.start_worker()

    assert (await ended(holdfast, file)).status == "completed"
    assert (await reconcile(holdfast)).started == 0


async def test_file_whose_workflow_was_terminated_fails(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast)
    await holdfast.resources.temporal.get_workflow_handle(file.workflow_id).terminate()

    report = await reconcile(holdfast)

    assert (report.started, report.failed) == (0, 1)
    found = await ended(holdfast, file)
    assert (found.status, found.last_error.code, found.last_error.message) == ("failed", "server_error", LOST_WORKFLOW)


async def test_file_without_its_content_fails(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)
    await holdfast.resources.object_store.delete(object_key(KeyPrefix.FILE, file.file_id))

    assert await ingest(holdfast, file) == "failed"

    found = await ended(holdfast, file)
    assert (found.last_error.code, found.last_error.message) == ("server_error", CONTENT_MISSING)


async def test_refused_embedding_fails_the_file_and_its_workflow(holdfast: RunningHoldfast) -> None:
    await use(holdfast, WatchedEmbedder(fails=EmbeddingRefused("The key is not accepted."))).start_worker()
    file = await added(holdfast)

    found = await ended(holdfast, file)

    assert (found.status, found.last_error.message) == ("failed", "The key is not accepted.")
    assert await closed(holdfast, file.workflow_id) is WorkflowExecutionStatus.FAILED


@pytest.mark.any_database
async def test_embedding_that_is_unavailable_is_tried_again(holdfast: RunningHoldfast) -> None:
    await use(holdfast, WatchedEmbedder(fails=EmbeddingUnavailable("429"))).start_worker()

    assert (await ended(holdfast, await added(holdfast))).status == "completed"


@pytest.mark.any_database
async def test_index_that_is_unavailable_is_tried_again(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, failures = holdfast.resources.vector_index, [VectorIndexUnavailable("locked")]
    upsert = index.upsert

    async def failing_once(*args: Any) -> None:
        if failures:
            raise failures.pop()
        await upsert(*args)

    monkeypatch.setattr(index, "upsert", failing_once)
    await holdfast.start_worker()

    assert (await ended(holdfast, await added(holdfast))).status == "completed"
    assert failures == []


async def test_expired_store_is_emptied_and_refuses(holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await added(holdfast, is_commanded=False)
    await ingest(holdfast, file)
    await holdfast.resources.database.write(
        lambda connection: connection.execute(
            VECTOR_STORES.update().where(VECTOR_STORES.c.id == file.store_id).values(expires_at=now_seconds())
        )
    )
    monkeypatch.setattr(ingest_reconciler, "DELETED_FOR", -ingest_reconciler.DELETED_FOR)

    with pytest.raises(BadRequestError, match=f"Vector store '{file.store_id}' has expired"):
        await holdfast.client.vector_stores.search(file.store_id, query="vacation")
    report = await reconcile(holdfast)

    assert (report.emptied, report.deleted) == (1, 1)
    assert await indexed(holdfast, file) == 0
    store = await holdfast.client.vector_stores.retrieve(file.store_id)
    assert (store.status, store.file_counts.total, store.usage_bytes) == ("expired", 0, 0)


async def test_deleted_store_leaves_no_chunk(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)
    await ingest(holdfast, file)
    assert await indexed(holdfast, file) == 1

    await holdfast.client.vector_stores.delete(file.store_id)

    assert await indexed(holdfast, file) == 0


async def test_store_keeps_its_model_when_the_setting_changes(holdfast: RunningHoldfast) -> None:
    first = await added(holdfast, is_commanded=False)
    await ingest(holdfast, first)
    old, new = WatchedEmbedder(), WatchedEmbedder(model="new")
    opened: list[tuple[str, int]] = []

    async def open_another(model: str, dimensions: int) -> Embedder:
        opened.append((model, dimensions))
        return old

    embedders = Embedders(new, open_another)
    use_all(holdfast, embedders)
    second = await _added_to(holdfast, first.store_id)
    status = await ingest(holdfast, second)
    row = await holdfast.resources.database.read(vector_stores.find_any, first.store_id)
    search = VectorStoreSearch(holdfast.resources.database, embedders, holdfast.resources.vector_index)
    # In none of the words: by vectors alone.
    found = await search.search(DEFAULT_PROJECT, first.store_id, SearchRequest(query=["holidays"]))

    assert status == "completed"
    assert row is not None
    assert row.embedding_model == "watched"
    assert {result.file_id for result in found.data} == {first.file_id, second.file_id}
    assert opened == [("watched", 2)]
    assert (old.embedded, new.embedded) == (2, 0)


async def test_file_fails_visibly_where_the_model_of_its_store_is_gone(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)

    status = await ingest(use(holdfast, WatchedEmbedder(model="new")), file)

    found = await ended(holdfast, file)
    assert (status, found.last_error.code) == ("failed", "server_error")
    assert found.last_error.message == "There is no 'watched' any more."
    assert await indexed(holdfast, file) == 0


async def test_search_of_a_store_whose_model_is_gone_is_refused(holdfast: RunningHoldfast) -> None:
    """The API has the local model and endpoints; it does not fall back to keywords without saying so."""
    file = await added(holdfast, is_commanded=False)
    await ingest(holdfast, file)

    with pytest.raises(InternalServerError) as refused:
        await holdfast.client.vector_stores.search(file.store_id, query="vacation")

    assert refused.value.status_code == 503


async def test_store_without_vectors_stays_one(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)
    await holdfast.resources.database.write(
        lambda connection: connection.execute(
            VECTOR_STORES.update().where(VECTOR_STORES.c.id == file.store_id).values(embedding_model=None, dimensions=0)
        )
    )

    await ingest(holdfast, file)

    found = await holdfast.client.vector_stores.search(file.store_id, query="vacation")
    assert [result.content[0].text for result in found.data] == [SHORT]


async def _added_to(holdfast: RunningHoldfast, store_id: str) -> IngestInput:
    file_id = await store_file(holdfast.resources, SHORT)
    (file,) = await holdfast.resources.database.write(
        lambda connection: (
            vector_store_files.add(
                connection,
                vector_stores.lock_open(connection, DEFAULT_PROJECT, store_id),
                [Attachment(file_id, None, ChunkSizes(100, 0))],
            ).to_ingest
        )
    )
    return file
