"""New messages of a thread, with their files: what they attach joins the thread's tools in the same transaction.

The thread is locked before its vector store.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from api.tool_resources import UNUSED_THREAD_STORE, RequestedResources
from infra.database import files, interpreter_files, messages, threads, vector_stores
from infra.database.columns import AnyRow
from models.attachments import MAX_INTERPRETER_FILES, AttachedFiles, TooManyInterpreterFiles, check_image, image_ids
from models.file_errors import FileNotFound
from models.messages import CreateMessageRequest, Message
from models.threads import CreateThreadRequest, Thread
from models.tools import CodeInterpreterResources, FileSearchResources, InlineVectorStore, ToolResources


def create_thread(connection: Connection, requested: RequestedResources, body: CreateThreadRequest) -> Thread:
    """Raises the errors of `RequestedResources.store`, `attach` and `threads.create`."""
    given = body.tool_resources
    stored = requested.store(connection, given, UNUSED_THREAD_STORE) if given else ToolResources()
    resources = attach(connection, requested, stored, body.messages or ())
    return threads.create(connection, requested.project_id, body, resources)


def add(
    connection: Connection,
    requested: RequestedResources,
    thread: AnyRow,
    bodies: Sequence[CreateMessageRequest],
    queued_behind: int | None,
) -> list[Message]:
    """Add messages to a locked thread. Raises the errors of `attach` and of `messages.add`."""
    before = ToolResources.model_validate(thread.tool_resources)
    after = attach(connection, requested, before, bodies)
    if after != before:
        threads.set_resources(connection, thread.seq, after)
    return messages.add(connection, requested.project_id, thread.id, bodies, queued_behind)


def attach(
    connection: Connection,
    requested: RequestedResources,
    before: ToolResources,
    bodies: Sequence[CreateMessageRequest],
) -> ToolResources:
    """The thread's resources once it has the files of `bodies`.

    Raises `FileNotFound`, `UnusableImage`, `TooManyInterpreterFiles`, `VectorStoreExpired`, `UnsupportedExtensions`
    and `VectorStoreFull`.
    """
    attached = AttachedFiles.of(bodies)
    _check_files(connection, requested.project_id, attached, image_ids(bodies))
    interpreter, search = before.code_interpreter, before.file_search
    if attached.for_interpreter:
        interpreter = _with_files(connection, requested, before, attached)
    if attached.for_search:
        search = _with_searched(connection, requested, before, attached.for_search)
    return ToolResources(code_interpreter=interpreter, file_search=search)


def _check_files(connection: Connection, project_id: str, attached: AttachedFiles, images: Sequence[str]) -> None:
    wanted = [*attached.every, *images]
    found = files.find(connection, project_id, wanted)
    for file_id in wanted:
        if file_id not in found:
            raise FileNotFound(file_id)
    for file_id in images:
        check_image(found[file_id])


def _with_files(
    connection: Connection, requested: RequestedResources, before: ToolResources, attached: AttachedFiles
) -> CodeInterpreterResources:
    earlier = interpreter_files.ids_of(before)
    existing = files.known(connection, earlier)
    file_ids = list(dict.fromkeys([*(each for each in earlier if each in existing), *attached.for_interpreter]))
    if len(file_ids) > MAX_INTERPRETER_FILES:
        if not requested.is_v1:
            raise TooManyInterpreterFiles(len(file_ids))
        # v1 knew no such limit: those attached last stay.
        new = attached.for_interpreter_at_last
        file_ids = [*(each for each in file_ids if each not in new), *new][-MAX_INTERPRETER_FILES:]
    return CodeInterpreterResources(file_ids=file_ids)


def _with_searched(
    connection: Connection, requested: RequestedResources, before: ToolResources, new: Sequence[str]
) -> FileSearchResources:
    for store_id in before.file_search.vector_store_ids if before.file_search else ():
        # A deleted store is replaced. One that has expired is not: the thread would lose what it could search.
        if vector_stores.exists(connection, requested.project_id, store_id):
            requested.extend_store(connection, store_id, new)
            return FileSearchResources(vector_store_ids=[store_id])
    created = requested.create_store(connection, InlineVectorStore(file_ids=list(new)), UNUSED_THREAD_STORE)
    return FileSearchResources(vector_store_ids=[created])
