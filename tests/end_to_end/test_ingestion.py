"""Ingestion in a running Holdfast: cancelled, resumed, repeated, lost, and what stays behind."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from openai import BadRequestError, InternalServerError
from sqlalchemy import Connection
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import ingest_reconciler, ingestion
from activities.crawl_reconciler import CrawlReconciler
from activities.ingest_reconciler import LOST_WORKFLOW, IngestReconciler, IngestReport
from activities.ingestion import CONTENT_MISSING, Ingestion
from infra.clock import now_seconds
from infra.database import vector_store_additions, vector_store_files, vector_stores
from infra.database.vector_store_tables import VECTOR_STORE_FILES, VECTOR_STORES
from infra.documents.parsing import parse
from infra.embeddings.embedders import Embedders
from infra.embeddings.errors import EmbeddingRefused, EmbeddingUnavailable
from infra.ingest_workflows import IngestWorkflows
from infra.ports import Embedder
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_store_search import VectorStoreSearch
from infra.web.crawl_workflows import CrawlWorkflows
from models.ingestion import IngestBatchInput, IngestInput
from models.search_index import IndexedFile, IndexedStore
from models.stored_objects import KeyPrefix, object_key
from models.vector_store_search import SearchRequest
from models.vector_stores import Attachment, ChunkSizes, StoreFileStatus
from tests.holdfast import RunningHoldfast
from tests.stored_files import DEFAULT_PROJECT, store_file
from workflows import activity_options
from workflows.ingest_workflow import FILES_AT_A_TIME, TOOK_TOO_LONG

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

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
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
    store_id = await new_store(holdfast)
    file_id = await store_file(resources, content)
    (file,) = await resources.database.write(attach, store_id, file_id)
    if is_commanded:
        await workflows(holdfast).start(file)
    return file


async def new_store(holdfast: RunningHoldfast) -> str:
    """The id of a store whose vectors are the test's."""
    store = await holdfast.client.vector_stores.create()
    await holdfast.resources.database.write(
        lambda connection: connection.execute(
            VECTOR_STORES.update().where(VECTOR_STORES.c.id == store.id).values(embedding_model="watched", dimensions=2)
        )
    )
    return store.id


def attach(connection: Connection, store_id: str, file_id: str) -> Sequence[IngestInput]:
    store = vector_store_additions.lock_store_for(connection, DEFAULT_PROJECT, store_id, [file_id])
    return vector_store_additions.add(connection, store, [Attachment(file_id, None, ChunkSizes(100, 0))]).to_ingest


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
    activity = Ingestion(resources.database, resources.object_store, resources.embedders, resources.vector_index)
    return await environment.run(activity.ingest, file)


async def reconcile(holdfast: RunningHoldfast) -> IngestReport:
    """Reconcile at once what would be due later."""
    resources = holdfast.resources
    await resources.database.write(
        lambda connection: connection.execute(VECTOR_STORE_FILES.update().values(next_check_at=0))
    )
    crawls = CrawlReconciler(resources.database, CrawlWorkflows(resources.temporal, resources.settings))
    reconciler = IngestReconciler(resources.database, workflows(holdfast), resources.vector_index, crawls)
    report: IngestReport = await ActivityEnvironment().run(reconciler.reconcile)
    return report


async def indexed(holdfast: RunningHoldfast, file: IngestInput) -> int:
    """How many chunks of the file are in the index, in whatever generation."""
    row = await holdfast.resources.database.read(vector_stores.find_any, file.store_id)
    store = vector_stores.indexed(row) if row else IndexedStore(file.store_id, "watched", 2)
    found = IndexedFile(file.file_id, file.generation)
    return len(await holdfast.resources.vector_index.chunks(store, found, -1, 1000))


@pytest.mark.any_database
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


@pytest.mark.any_database
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


@pytest.mark.slow
async def test_batch_of_several_pages_is_ingested_to_its_end(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "BATCH_PAGE", 2)
    ids = [await store_file(holdfast.resources, f"{SHORT} {number}") for number in range(5)]
    store_id = await new_store(holdfast)
    await holdfast.start_worker()
    batches = holdfast.client.vector_stores.file_batches

    batch = await batches.create_and_poll(store_id, file_ids=ids)

    assert (batch.status, batch.file_counts.completed) == ("completed", 5)
    listed = batches.list_files(batch.id, vector_store_id=store_id, limit=2, order="asc", filter="completed")
    assert [file.id async for file in listed] == ids
    workflow = holdfast.resources.temporal.get_workflow_handle(IngestBatchInput(batch.id).workflow_id)
    assert (await workflow.describe()).raw_info.first_run_id != (await workflow.describe()).run_id


@pytest.mark.any_database
async def test_batch_ingests_some_of_its_files_at_a_time(holdfast: RunningHoldfast) -> None:
    embedder = WatchedEmbedder(waits_after=0)
    await use(holdfast, embedder).start_worker()
    ids = [await store_file(holdfast.resources, f"{SHORT} {number}") for number in range(FILES_AT_A_TIME + 2)]
    batches, store_id = holdfast.client.vector_stores.file_batches, await new_store(holdfast)

    batch = await batches.create(store_id, file_ids=ids)

    handle = holdfast.resources.temporal.get_workflow_handle(IngestBatchInput(batch.id).workflow_id)
    # All that it ever begins at once, it begins in its first task.
    async with asyncio.timeout(20):
        while not (children := (await handle.describe()).raw_description.pending_children):
            await asyncio.sleep(0.02)
    assert len(children) == FILES_AT_A_TIME
    embedder.may_go_on.set()
    ended_batch = await batches.poll(batch.id, vector_store_id=store_id)
    assert ended_batch.file_counts.completed == len(ids)


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
    # It had embedded a batch meanwhile, and did not add it.
    assert await indexed(holdfast, file) == 0
    monkeypatch.setattr(ingest_reconciler, "DELETED_FOR", -ingest_reconciler.DELETED_FOR)
    assert (await reconcile(holdfast)).deleted == 1
    assert (await reconcile(holdfast)).deleted == 0


@pytest.mark.parametrize("by_sweep", [False, True])
async def test_file_that_is_added_again_while_its_chunks_are_removed_keeps_its_new_ones(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch, by_sweep: bool
) -> None:
    resources, index = holdfast.resources, holdfast.resources.vector_index
    file, again = await added(holdfast, is_commanded=False), list[IngestInput]()
    await ingest(holdfast, file)
    delete_file = index.delete_file

    async def delete_later(*args: Any, **more: Any) -> None:
        # Between the decision to delete and the deletion itself.
        monkeypatch.setattr(index, "delete_file", delete_file)
        again.extend(await resources.database.write(attach, file.store_id, file.file_id))
        await ingest(holdfast, again[0])
        await delete_file(*args, **more)

    monkeypatch.setattr(index, "delete_file", delete_later)
    if by_sweep:
        await resources.database.write(vector_store_files.remove, DEFAULT_PROJECT, file.store_id, file.file_id)
        monkeypatch.setattr(ingest_reconciler, "DELETED_FOR", -ingest_reconciler.DELETED_FOR)
        assert (await reconcile(holdfast)).deleted == 1
    else:
        await holdfast.client.vector_stores.files.delete(file.file_id, vector_store_id=file.store_id)

    assert (await indexed(holdfast, file), await indexed(holdfast, again[0])) == (0, 1)
    found = await holdfast.client.vector_stores.files.content(file.file_id, vector_store_id=file.store_id)
    assert [part.text for part in found.data] == [SHORT]


async def test_ingestion_that_comes_late_leaves_the_chunks_of_the_one_after_it(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources, is_read, may_go_on = holdfast.resources, asyncio.Event(), asyncio.Event()

    async def parse_slowly(*args: Any) -> Any:
        monkeypatch.setattr(ingestion, "parse", parse)
        is_read.set()
        await may_go_on.wait()
        return await parse(*args)

    monkeypatch.setattr(ingestion, "parse", parse_slowly)
    file = await added(holdfast, is_commanded=False)
    late = asyncio.create_task(ingest(holdfast, file))
    await is_read.wait()
    await resources.database.write(vector_store_files.remove, DEFAULT_PROJECT, file.store_id, file.file_id)
    [again] = await resources.database.write(attach, file.store_id, file.file_id)
    completed = await ingest(holdfast, again)

    may_go_on.set()

    assert (completed, await late) == ("completed", "cancelled")
    assert await indexed(holdfast, again) == 1


async def test_lost_start_is_repeated(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)
    assert (await reconcile(holdfast)).started == 1

    await holdfast.start_worker()

    assert (await ended(holdfast, file)).status == "completed"
    assert (await reconcile(holdfast)).started == 0


@pytest.mark.any_database
async def test_lost_start_of_an_attached_file_is_repeated(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any) -> bool:
        raise RPCError("lost", RPCStatusCode.UNAVAILABLE, b"")

    store_id, file_id = await new_store(holdfast), await store_file(holdfast.resources, "Paid vacation.")
    attachment: Any = {"file_id": file_id, "tools": [{"type": "file_search"}]}
    with monkeypatch.context() as patch:
        patch.setattr(IngestWorkflows, "start_batch", lost)
        await holdfast.client.beta.threads.create(
            messages=[{"role": "user", "content": "Hello", "attachments": [attachment]}],
            tool_resources={"file_search": {"vector_store_ids": [store_id]}},
        )

    assert (await reconcile(holdfast)).started == 1

    await holdfast.start_worker()
    file = await holdfast.client.vector_stores.files.poll(file_id, vector_store_id=store_id)
    assert file.status == "completed"


@pytest.mark.any_database
async def test_file_whose_workflow_was_terminated_fails(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast)
    await holdfast.resources.temporal.get_workflow_handle(file.workflow_id).terminate()

    report = await reconcile(holdfast)

    assert (report.started, report.failed) == (0, 1)
    found = await ended(holdfast, file)
    assert (found.status, found.last_error.code, found.last_error.message) == ("failed", "server_error", LOST_WORKFLOW)


@pytest.mark.any_database
async def test_file_without_its_content_fails(holdfast: RunningHoldfast, caplog: pytest.LogCaptureFixture) -> None:
    file = await added(holdfast, is_commanded=False)
    await holdfast.resources.object_store.delete(object_key(KeyPrefix.FILE, file.file_id))

    with caplog.at_level(logging.INFO, ingestion.__name__):
        assert await ingest(holdfast, file) == "failed"

    found = await ended(holdfast, file)
    assert (found.last_error.code, found.last_error.message) == ("server_error", CONTENT_MISSING)
    [logged] = [vars(record) for record in caplog.records if record.message == "ingestion.ended"]
    assert (logged["store_id"], logged["file_id"]) == (file.store_id, file.file_id)
    assert (logged["status"], logged["error"]) == ("failed", "server_error")


@pytest.mark.slow
@pytest.mark.any_database
async def test_file_of_too_many_tokens_fails(holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "MAX_FILE_TOKENS", 5)
    await holdfast.start_worker()

    file = await ended(holdfast, await added(holdfast))

    assert (file.status, file.last_error.code) == ("failed", "invalid_file")
    assert file.last_error.message == "The file is too large to be read: it has more than 5 tokens."


@pytest.mark.any_database
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
async def test_file_whose_ingestion_hangs_fails_at_its_deadline(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_options, "INGEST_DEADLINE", timedelta(seconds=1))
    embedder = WatchedEmbedder(waits_after=0)
    await use(holdfast, embedder).start_worker()

    file = await added(holdfast)
    failed = await ended(holdfast, file)

    assert (failed.status, failed.last_error.code) == ("failed", "server_error")
    assert failed.last_error.message == TOOK_TOO_LONG
    assert await closed(holdfast, file.workflow_id) is WorkflowExecutionStatus.FAILED
    store = await holdfast.client.vector_stores.retrieve(file.store_id)
    assert (store.status, store.file_counts.failed, store.file_counts.total) == ("completed", 1, 1)


@pytest.mark.any_database
async def test_file_whose_embedding_stays_unavailable_fails_at_its_deadline(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_options, "INGEST_DEADLINE", timedelta(seconds=2))
    embedder = WatchedEmbedder()
    monkeypatch.setattr(embedder, "embed", AsyncMock(side_effect=EmbeddingUnavailable("The endpoint answered 503.")))
    await use(holdfast, embedder).start_worker()

    failed = await ended(holdfast, await added(holdfast))

    assert (failed.status, failed.last_error.code) == ("failed", "server_error")
    assert failed.last_error.message == f"{TOOK_TOO_LONG} The last attempt failed: The endpoint answered 503."


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


@pytest.mark.any_database
async def test_store_keeps_its_model_when_the_setting_changes(holdfast: RunningHoldfast) -> None:
    first = await added(holdfast, is_commanded=False)
    await ingest(holdfast, first)
    old, new = WatchedEmbedder(), WatchedEmbedder(model="new")
    opened: list[tuple[str, int]] = []

    async def open_another(model: str, dimensions: int) -> Embedder:
        opened.append((model, dimensions))
        return old

    resources, embedders = holdfast.resources, Embedders(new, open_another)
    use_all(holdfast, embedders)
    second = (await resources.database.write(attach, first.store_id, await store_file(resources, SHORT)))[0]
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


@pytest.mark.any_database
async def test_file_fails_visibly_where_the_model_of_its_store_is_gone(holdfast: RunningHoldfast) -> None:
    file = await added(holdfast, is_commanded=False)

    status = await ingest(use(holdfast, WatchedEmbedder(model="new")), file)

    found = await ended(holdfast, file)
    assert (status, found.last_error.code) == ("failed", "server_error")
    assert found.last_error.message == "There is no 'watched' any more."
    assert await indexed(holdfast, file) == 0


@pytest.mark.any_database
async def test_search_of_a_store_whose_model_is_gone_is_refused(holdfast: RunningHoldfast) -> None:
    """The API has the local model and endpoints; it does not fall back to keywords without saying so."""
    file = await added(holdfast, is_commanded=False)
    await ingest(holdfast, file)

    with pytest.raises(InternalServerError) as refused:
        await holdfast.client.vector_stores.search(file.store_id, query="vacation")

    assert refused.value.status_code == 503


@pytest.mark.any_database
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
