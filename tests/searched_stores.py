"""Vector stores for runs with file search."""

from typing import Any

from infra.database import ingestions, vector_store_additions, vector_stores
from infra.database.vector_store_tables import VECTOR_STORE_FILES
from infra.ingest_workflows import IngestWorkflows
from models.vector_stores import Attachment, ChunkSizes
from tests.holdfast import RunningHoldfast, function_tool
from tests.stored_files import DEFAULT_PROJECT, store_file

SEARCH: Any = {"type": "file_search"}


async def store_of(holdfast: RunningHoldfast, *texts: str, filename: str = "handbook.md") -> str:
    """A vector store in which the texts can be found, each a file. Returns its id."""
    ids = [await store_file(holdfast.resources, text, filename) for text in texts]
    store = await holdfast.client.vector_stores.create()
    if ids:
        await holdfast.client.vector_stores.file_batches.create_and_poll(store.id, file_ids=ids)
    return store.id


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
    query = VECTOR_STORE_FILES.select().where(VECTOR_STORE_FILES.c.store_id == store_id)
    row = await holdfast.resources.database.read(lambda connection: connection.execute(query).one())
    workflows = IngestWorkflows(holdfast.resources.temporal, holdfast.resources.settings)
    await workflows.start(ingestions.ingest_input(row))


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
