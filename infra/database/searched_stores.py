"""The vector stores that a run's file searches use: its assistant's, and its thread's."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select

from infra.database import vector_stores
from infra.database.thread_tables import THREADS
from models.errors import NotFound
from models.runs import Run
from models.tools import ToolResources
from models.vector_store_errors import VectorStoreExpired

_OF_THREAD = select(THREADS.c.tool_resources).where(
    THREADS.c.id == bindparam("thread"), THREADS.c.project_id == bindparam("project")
)


class StoreOwner(StrEnum):
    ASSISTANT = "assistant"
    THREAD = "thread"


class StoreState(StrEnum):
    OPEN = "open"
    EXPIRED = "expired"
    DELETED = "deleted"


@dataclass(frozen=True)
class SearchedStore:
    """`is_indexing`: files are still being added to it. `is_new`: and none was ready yet."""

    id: str
    owner: StoreOwner
    state: StoreState
    is_indexing: bool = False
    is_new: bool = False


def of_run(connection: Connection, project_id: str, run: Run) -> Sequence[SearchedStore]:
    """The stores of the run's project alone. The thread's is the one that it has now."""
    thread = connection.scalar(_OF_THREAD, {"thread": run.thread_id, "project": project_id})
    of_thread = ToolResources.model_validate(thread or {})
    return of_resources(connection, project_id, run.tool_resources, of_thread)


def of_resources(
    connection: Connection, project_id: str, of_assistant: ToolResources, of_thread: ToolResources
) -> Sequence[SearchedStore]:
    owned = [(store_id, StoreOwner.ASSISTANT) for store_id in _store_ids(of_assistant)]
    owned += [(store_id, StoreOwner.THREAD) for store_id in _store_ids(of_thread)]
    # A store of both is searched once, and as the thread's.
    return [_store(connection, project_id, store_id, owner) for store_id, owner in dict(owned).items()]


def _store_ids(resources: ToolResources) -> Sequence[str]:
    return resources.file_search.vector_store_ids if resources.file_search else ()


def _store(connection: Connection, project_id: str, store_id: str, owner: StoreOwner) -> SearchedStore:
    try:
        row = vector_stores.find_open(connection, project_id, store_id)
    except NotFound:
        return SearchedStore(store_id, owner, StoreState.DELETED)
    except VectorStoreExpired:
        return SearchedStore(store_id, owner, StoreState.EXPIRED)
    is_indexing = row.in_progress > 0
    return SearchedStore(store_id, owner, StoreState.OPEN, is_indexing, is_new=is_indexing and not row.completed)
