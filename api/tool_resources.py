"""The tool resources of a request: files and stores that it names must exist, stores that it describes are created."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from api.ingest_commands import IngestCommands
from infra.database import files, searched_stores, vector_store_additions, vector_store_files, vector_stores
from infra.database.searched_stores import StoreState
from models.file_errors import FileNotFound
from models.run_specs import RunSpec
from models.tools import (
    CreateFileSearchResources,
    CreateToolResources,
    FileSearchResources,
    FileSearchTool,
    InlineVectorStore,
    ToolResources,
)
from models.vector_store_errors import VectorStoreOfRunExpired
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest, Expiry, FileBatch, StoreFileStatus

UNUSED_THREAD_STORE = Expiry(anchor="last_active_at", days=7)
"""The expiry of a store that is created with a thread or for its messages, as OpenAI's had it."""

USABLE = (StoreFileStatus.IN_PROGRESS, StoreFileStatus.COMPLETED)


@dataclass
class RequestedResources:
    """The tool resources of one request. The files that join stores are ingested by `start`, after the commit.

    A program of the first beta (`is_v1`) says not which tool the files of its messages are for.
    """

    commands: IngestCommands
    project_id: str
    is_v1: bool = False
    batches: list[FileBatch] = field(default_factory=list)

    def store(
        self,
        connection: Connection,
        given: CreateToolResources | ToolResources,
        expires_after: Expiry | None = None,
    ) -> ToolResources:
        """The resources by ids. Raises the errors of `check_named`, and what `vector_store_additions.add` raises."""
        check_named(connection, self.project_id, given)
        search = given.file_search
        if search is None:
            return ToolResources(code_interpreter=given.code_interpreter)
        store_ids = list(search.vector_store_ids)
        if isinstance(search, CreateFileSearchResources):
            store_ids += [self.create_store(connection, each, expires_after) for each in search.vector_stores]
        return ToolResources(
            code_interpreter=given.code_interpreter, file_search=FileSearchResources(vector_store_ids=store_ids)
        )

    def create_store(self, connection: Connection, inline: InlineVectorStore, expires_after: Expiry | None) -> str:
        """The id of a new store with its files. Raises what `vector_store_additions.add` raises."""
        body = CreateVectorStoreRequest(metadata=inline.metadata, expires_after=expires_after)
        sizes = ChunkSizes.of(inline.chunking_strategy)
        attachments = [Attachment(file_id, None, sizes) for file_id in dict.fromkeys(inline.file_ids)]
        store, batch = self.commands.insert_store(connection, self.project_id, body, attachments)
        if batch is not None:
            self.batches.append(batch)
        return store.id

    def extend_store(self, connection: Connection, store_id: str, file_ids: Sequence[str]) -> None:
        """Add the files that the store lacks, or failed to process: the others keep their chunks.

        Raises `NotFound`, `VectorStoreExpired`, and what `vector_store_additions.add` raises.
        """
        vector_store_additions.lock_store_for(connection, self.project_id, store_id, file_ids)
        there = vector_store_files.named(connection, store_id, file_ids)
        usable = {file_id for file_id, row in there.items() if row.status in USABLE}
        attachments = [Attachment(file_id, None, ChunkSizes()) for file_id in file_ids if file_id not in usable]
        if attachments:
            self.batches.append(self.commands.insert_batch(connection, self.project_id, store_id, attachments))

    async def start(self) -> None:
        """Command the ingestion of files that joined stores."""
        for batch in self.batches:
            await self.commands.start_batch(batch)


def check_named(connection: Connection, project_id: str, given: CreateToolResources | ToolResources) -> None:
    """Raises `NotFound` for a vector store, `FileNotFound` for a file, that the project does not have."""
    file_ids = given.code_interpreter.file_ids if given.code_interpreter else ()
    found = files.find(connection, project_id, file_ids)
    for file_id in file_ids:
        if file_id not in found:
            raise FileNotFound(file_id)
    for store_id in given.file_search.vector_store_ids if given.file_search else ():
        vector_stores.load(connection, project_id, store_id)


def check_searchable(connection: Connection, project_id: str, spec: RunSpec, of_thread: ToolResources) -> None:
    """Raises `VectorStoreOfRunExpired` for a new run with file search. A deleted store is only said to the model."""
    if not any(isinstance(tool, FileSearchTool) for tool in spec.tools):
        return
    for store in searched_stores.of_resources(connection, project_id, spec.tool_resources, of_thread):
        if store.state is StoreState.EXPIRED:
            raise VectorStoreOfRunExpired(store.id)
