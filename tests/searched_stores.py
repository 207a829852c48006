"""Vector stores for runs with file search."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from activities.ingestion import Ingestion
from infra.database import ingestions, vector_store_additions, vector_stores
from infra.database.columns import AnyRow
from infra.database.vector_store_tables import VECTOR_STORE_FILES
from infra.documents.chunking import chunks
from infra.ingest_workflows import IngestWorkflows
from models.chunks import Chunk
from models.documents import Document, Page
from models.ingestion import IngestBatchInput, IngestInput
from models.vector_stores import MAX_FILE_TOKENS, Attachment, Attribute, ChunkSizes, StoreFileStatus
from tests.holdfast import RunningHoldfast, function_tool
from tests.stored_files import DEFAULT_PROJECT, store_file

SEARCH: Any = {"type": "file_search"}


class _IngestionOfTexts(Ingestion):
    """Reads no file in a child process, and is no workflow: a fifth of the time."""

    def __init__(self, holdfast: RunningHoldfast, texts: Mapping[str, str]) -> None:
        resources = holdfast.resources
        super().__init__(resources.database, resources.object_store, resources.embedders, resources.vector_index)
        self._texts = texts

    async def _chunks(self, row: AnyRow) -> Sequence[Chunk]:
        document = Document([Page(None, self._texts[row.id])])
        return chunks(document, row.max_chunk_size_tokens, row.chunk_overlap_tokens, MAX_FILE_TOKENS)


async def store_of(holdfast: RunningHoldfast, *texts: str, filename: str = "handbook.md") -> str:
    """A vector store in which the texts can be found, each a file. Returns its id."""
    files = {await store_file(holdfast.resources, text, filename): text for text in texts}
    store = await holdfast.client.vector_stores.create()
    if files:
        await fill(holdfast, store.id, files)
    return store.id


async def fill(
    holdfast: RunningHoldfast,
    store_id: str,
    texts: Mapping[str, str],
    sizes: ChunkSizes | None = None,
    attributes: dict[str, Attribute] | None = None,
) -> None:
    """Make files, whose texts are given by their ids, searchable in the store."""
    database = holdfast.resources.database
    attached = [Attachment(file_id, attributes, sizes or ChunkSizes()) for file_id in texts]

    def add(connection: Connection) -> Sequence[IngestInput]:
        store = vector_store_additions.lock_store_for(connection, DEFAULT_PROJECT, store_id, list(texts))
        return vector_store_additions.add(connection, store, attached).to_ingest

    ingestion = _IngestionOfTexts(holdfast, texts)
    for file in await database.write(add):
        assert await ActivityEnvironment().run(ingestion.ingest, file) == StoreFileStatus.COMPLETED


async def store_in_preparation(holdfast: RunningHoldfast, store_id: str = "") -> str:
    """A vector store with a file that no workflow ingests: a search of a thread waits for it. Returns its id."""
    store_id = store_id or (await holdfast.client.vector_stores.create()).id
    file_id = await store_file(holdfast.resources, "Late.", "late.md")
    await holdfast.resources.database.write(
        lambda connection: vector_store_additions.add(
            connection,
            vector_stores.lock_open(connection, DEFAULT_PROJECT, store_id),
            [Attachment(file_id, None, ChunkSizes())],
        )
    )
    return store_id


async def ingest(holdfast: RunningHoldfast, store_id: str) -> None:
    """Start the ingestion of the one file of a store in preparation."""
    workflows = IngestWorkflows(holdfast.resources.temporal, holdfast.resources.settings)
    await workflows.start(ingestions.ingest_input(await _only_file(holdfast, store_id)))


async def is_ingested(holdfast: RunningHoldfast, store_id: str) -> bool:
    """Whether a workflow, for which there is no worker, waits to ingest the one file of the store or its batch."""
    file = await _only_file(holdfast, store_id)
    started = IngestBatchInput(file.batch_id) if file.batch_id else ingestions.ingest_input(file)
    found = await holdfast.resources.temporal.get_workflow_handle(started.workflow_id).describe()
    return found.status == WorkflowExecutionStatus.RUNNING


async def _only_file(holdfast: RunningHoldfast, store_id: str) -> AnyRow:
    query = VECTOR_STORE_FILES.select().where(VECTOR_STORE_FILES.c.store_id == store_id)
    return await holdfast.resources.database.read(lambda connection: connection.execute(query).one())


async def searching(
    holdfast: RunningHoldfast, model: str, store_id: str | None = None, *functions: str, tool: Any = None
) -> str:
    """An assistant with file search, and functions of these names. Returns its id."""
    tools = [tool or SEARCH, *map(function_tool, functions)]
    resources: Any = by_id(store_id) if store_id else {}
    created = await holdfast.client.beta.assistants.create(model=model, tools=tools, tool_resources=resources)
    return created.id


def by_id(store_id: str) -> Any:
    """Tool resources with the store."""
    return {"file_search": {"vector_store_ids": [store_id]}}


def searched_thread(store_id: str) -> Any:
    """A thread for a run that searches its store."""
    return {"messages": [{"role": "user", "content": "Hello"}], "tool_resources": by_id(store_id)}
