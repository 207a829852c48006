"""`/threads/{thread_id}/messages`."""

from fastapi import APIRouter
from sqlalchemy import Connection

from api import thread_messages
from api.beta import AssistantsRoute
from api.dependencies import (
    AssistantsBeta,
    DatabaseDep,
    IdempotencyDep,
    IngestCommandsDep,
    IsV1Dep,
    PageDep,
    ProjectDep,
)
from api.tool_resources import RequestedResources
from infra.database import messages, thread_queue, threads
from models.ids import MessageId, RunId, ThreadId
from models.lists import Page
from models.messages import AddMessageRequest, Message, ModifyMessageRequest
from models.thread_errors import ThreadLocked
from models.wire import Deleted

router = APIRouter(
    prefix="/threads/{thread_id}/messages",
    tags=["Messages"],
    dependencies=[AssistantsBeta],
    route_class=AssistantsRoute,
)


@router.post("", operation_id="createMessage")
async def create_message(
    thread_id: ThreadId,
    body: AddMessageRequest,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    ingest: IngestCommandsDep,
    is_v1: IsV1Dep,
) -> Message:
    resources = RequestedResources(ingest, project, is_v1)

    def create(connection: Connection) -> Message:
        thread = threads.lock(connection, project, thread_id)
        queued_behind = thread_queue.admit_or_enqueue(
            connection, thread, body.on_active_run, ThreadLocked.for_message, new_messages=1
        )
        [message] = thread_messages.add(connection, resources, thread, [body], queued_behind)
        return message

    message = await idempotency.run(Message, create)
    await resources.start()
    return message


@router.get("", operation_id="listMessages")
async def list_messages(
    thread_id: ThreadId, database: DatabaseDep, project: ProjectDep, page: PageDep, run_id: RunId | None = None
) -> Page[Message]:
    def load(connection: Connection) -> Page[Message]:
        threads.load(connection, project, thread_id)
        return messages.list_page(connection, project, thread_id, page, run_id)

    return await database.read(load)


@router.get("/{message_id}", operation_id="getMessage")
async def retrieve_message(
    thread_id: ThreadId, message_id: MessageId, database: DatabaseDep, project: ProjectDep
) -> Message:
    def load(connection: Connection) -> Message:
        threads.load(connection, project, thread_id)
        return messages.load(connection, project, thread_id, message_id)

    return await database.read(load)


@router.post("/{message_id}", operation_id="modifyMessage")
async def modify_message(
    thread_id: ThreadId,
    message_id: MessageId,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    body: ModifyMessageRequest,
) -> Message:
    def modify(connection: Connection) -> Message:
        threads.lock(connection, project, thread_id)
        return messages.modify(connection, project, thread_id, message_id, body)

    return await idempotency.run(Message, modify)


@router.delete("/{message_id}", operation_id="deleteMessage")
async def delete_message(
    thread_id: ThreadId, message_id: MessageId, database: DatabaseDep, project: ProjectDep
) -> Deleted:
    def remove(connection: Connection) -> None:
        threads.lock(connection, project, thread_id)
        messages.remove(connection, project, thread_id, message_id)

    await database.write(remove)
    return Deleted(id=message_id, object="thread.message.deleted")
