"""The tool resources of a request: vector stores that it names must exist, those that it describes are created."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from api.ingest_commands import IngestCommands
from infra.database import searched_stores, threads, vector_stores
from infra.database.searched_stores import StoreState
from models.run_specs import RunSpec
from models.threads import CreateThreadRequest, Thread
from models.tools import (
    CreateFileSearchResources,
    CreateToolResources,
    FileSearchResources,
    FileSearchTool,
    InlineVectorStore,
    ToolResources,
)
from models.vector_store_errors import VectorStoreOfRunExpired
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest, Expiry, FileBatch

UNUSED_THREAD_STORE = Expiry(anchor="last_active_at", days=7)
"""The expiry of a store that is created with a thread, as OpenAI's had it."""


@dataclass
class RequestedResources:
    """The tool resources of one request. The files of created stores are ingested by `start`, after the commit."""

    commands: IngestCommands
    project_id: str
    batches: list[FileBatch] = field(default_factory=list)

    def store(
        self,
        connection: Connection,
        given: CreateToolResources | ToolResources,
        expires_after: Expiry | None = None,
    ) -> ToolResources:
        """The resources by ids. Raises `NotFound`, and what `vector_store_files.add` raises."""
        search = given.file_search
        if search is None:
            return ToolResources(code_interpreter=given.code_interpreter)
        check_vector_stores(connection, self.project_id, given)
        store_ids = list(search.vector_store_ids)
        if isinstance(search, CreateFileSearchResources):
            store_ids += [self._create(connection, each, expires_after) for each in search.vector_stores]
        return ToolResources(
            code_interpreter=given.code_interpreter, file_search=FileSearchResources(vector_store_ids=store_ids)
        )

    def create_thread(self, connection: Connection, body: CreateThreadRequest) -> Thread:
        """Raises the errors of `store` and of `threads.create`."""
        given = body.tool_resources
        stored = self.store(connection, given, UNUSED_THREAD_STORE) if given else None
        return threads.create(connection, self.project_id, body, stored)

    async def start(self) -> None:
        """Command the ingestion of the created stores' files."""
        for batch in self.batches:
            await self.commands.start_batch(batch)

    def _create(self, connection: Connection, inline: InlineVectorStore, expires_after: Expiry | None) -> str:
        body = CreateVectorStoreRequest(metadata=inline.metadata, expires_after=expires_after)
        sizes = ChunkSizes.of(inline.chunking_strategy)
        attachments = [Attachment(file_id, None, sizes) for file_id in dict.fromkeys(inline.file_ids)]
        store, batch = self.commands.insert_store(connection, self.project_id, body, attachments)
        if batch is not None:
            self.batches.append(batch)
        return store.id


def check_vector_stores(connection: Connection, project_id: str, given: CreateToolResources | ToolResources) -> None:
    """Raises `NotFound` for a vector store that the project does not have."""
    for store_id in given.file_search.vector_store_ids if given.file_search else ():
        vector_stores.load(connection, project_id, store_id)


def check_searchable(connection: Connection, project_id: str, spec: RunSpec, of_thread: ToolResources) -> None:
    """Raises `VectorStoreOfRunExpired` for a new run with file search. A deleted store is only said to the model."""
    if not any(isinstance(tool, FileSearchTool) for tool in spec.tools):
        return
    for store in searched_stores.of_resources(connection, project_id, spec.tool_resources, of_thread):
        if store.state is StoreState.EXPIRED:
            raise VectorStoreOfRunExpired(store.id)
