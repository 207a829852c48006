"""The files that assistants and threads keep for their code interpreter. A deleted file is no longer among them."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Connection, bindparam, select

from infra.database import assistant_files, files
from infra.database.thread_tables import THREADS
from infra.database.vector_store_tables import VECTOR_STORES
from models.assistants import Assistant
from models.beta_v1 import is_made_for_v1
from models.files import File
from models.runs import Run
from models.threads import Thread
from models.tools import CodeInterpreterResources, ToolResources

_OF_THREAD = select(THREADS.c.tool_resources).where(
    THREADS.c.id == bindparam("thread"), THREADS.c.project_id == bindparam("project")
)
_METADATA_OF_STORE = select(VECTOR_STORES.c.metadata).where(
    VECTOR_STORES.c.id == bindparam("store"), VECTOR_STORES.c.project_id == bindparam("project")
)

Owner = TypeVar("Owner", Assistant, Thread)


def with_existing(connection: Connection, owners: Sequence[Owner]) -> list[Owner]:
    """`owners` without the files that were deleted: the lists are short, and files are deleted far more rarely."""
    named = {file_id for owner in owners for file_id in ids_of(owner.tool_resources)}
    missing = named - files.known(connection, named)
    return [_without(owner, missing) for owner in owners] if missing else list(owners)


def of_run(connection: Connection, project_id: str, run: Run) -> list[File]:
    """The files of the run's assistant, then those that its thread has now, each once; of the run's project alone."""
    thread = connection.scalar(_OF_THREAD, {"thread": run.thread_id, "project": project_id})
    of_assistant = [*ids_of(run.tool_resources), *_of_v1(connection, project_id, run.tool_resources)]
    ids = dict.fromkeys([*of_assistant, *ids_of(ToolResources.model_validate(thread or {}))])
    found = files.find(connection, project_id, list(ids))
    return [found[file_id] for file_id in ids if file_id in found]


def ids_of(resources: ToolResources) -> Sequence[str]:
    return resources.code_interpreter.file_ids if resources.code_interpreter else ()


def _of_v1(connection: Connection, project_id: str, resources: ToolResources) -> Sequence[str]:
    """The files of an assistant of the first beta, which were for all of its tools."""
    for store_id in resources.file_search.vector_store_ids if resources.file_search else ():
        metadata = connection.scalar(_METADATA_OF_STORE, {"store": store_id, "project": project_id})
        if metadata and is_made_for_v1(metadata):
            return assistant_files.of_store(connection, project_id, store_id)
    return ()


def _without(owner: Owner, missing: set[str]) -> Owner:
    kept = [file_id for file_id in ids_of(owner.tool_resources) if file_id not in missing]
    interpreter = CodeInterpreterResources(file_ids=kept)
    resources = owner.tool_resources.model_copy(update={"code_interpreter": interpreter})
    return owner.model_copy(update={"tool_resources": resources}) if ids_of(owner.tool_resources) else owner
