"""`/threads`."""

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
    RunCommandsDep,
)
from api.metadata_filter import METADATA_PARAMETER, MetadataFilterDep
from api.tool_resources import RequestedResources, check_named
from infra.database import threads
from models.ids import ThreadId
from models.lists import Page
from models.threads import CreateThreadRequest, ModifyThreadRequest, Thread
from models.wire import Deleted

router = APIRouter(prefix="/threads", tags=["Threads"], dependencies=[AssistantsBeta], route_class=AssistantsRoute)


@router.post("", operation_id="createThread")
async def create_thread(
    project: ProjectDep,
    idempotency: IdempotencyDep,
    ingest: IngestCommandsDep,
    is_v1: IsV1Dep,
    body: CreateThreadRequest | None = None,
) -> Thread:
    body = body or CreateThreadRequest()
    resources = RequestedResources(ingest, project, is_v1)

    def create(connection: Connection) -> Thread:
        return thread_messages.create_thread(connection, resources, body)

    thread = await idempotency.run(Thread, create)
    await resources.start()
    return thread


@router.get("", operation_id="listThreads", openapi_extra={"parameters": [METADATA_PARAMETER]})
async def list_threads(
    database: DatabaseDep, project: ProjectDep, page: PageDep, metadata: MetadataFilterDep
) -> Page[Thread]:
    """All threads of the project, or those that have every given pair of metadata. An extension of OpenAI's API."""
    return await database.read(threads.list_page, project, page, metadata)


@router.get("/{thread_id}", operation_id="getThread")
async def retrieve_thread(thread_id: ThreadId, database: DatabaseDep, project: ProjectDep) -> Thread:
    return await database.read(threads.load, project, thread_id)


@router.post("/{thread_id}", operation_id="modifyThread")
async def modify_thread(
    thread_id: ThreadId, project: ProjectDep, idempotency: IdempotencyDep, body: ModifyThreadRequest
) -> Thread:
    def modify(connection: Connection) -> Thread:
        if body.tool_resources:
            check_named(connection, project, body.tool_resources)
        return threads.modify(connection, project, thread_id, body)

    return await idempotency.run(Thread, modify)


@router.delete("/{thread_id}", operation_id="deleteThread")
async def delete_thread(thread_id: ThreadId, project: ProjectDep, commands: RunCommandsDep) -> Deleted:
    await commands.delete_thread(project, thread_id)
    return Deleted(id=thread_id, object="thread.deleted")
