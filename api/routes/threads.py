"""`/threads`."""

from fastapi import APIRouter

from api import refusals
from api.dependencies import AssistantsBeta, DatabaseDep, OnceDep, ProjectDep, RunCommandsDep
from api.json_bodies import JsonRoute
from infra.database import threads
from models.ids import ThreadId
from models.threads import CreateThreadRequest, ModifyThreadRequest, Thread
from models.wire import Deleted

router = APIRouter(prefix="/threads", tags=["Threads"], dependencies=[AssistantsBeta], route_class=JsonRoute)


@router.post("", operation_id="createThread")
async def create_thread(project: ProjectDep, once: OnceDep, body: CreateThreadRequest | None = None) -> Thread:
    body = body or CreateThreadRequest()
    refusals.check_thread(body)
    return await once.do(Thread, lambda session: threads.create(session, project, body))


@router.get("/{thread_id}", operation_id="getThread")
async def retrieve_thread(thread_id: ThreadId, database: DatabaseDep, project: ProjectDep) -> Thread:
    async with database.reading() as session:
        return await threads.load(session, project, thread_id)


@router.post("/{thread_id}", operation_id="modifyThread")
async def modify_thread(thread_id: ThreadId, project: ProjectDep, once: OnceDep, body: ModifyThreadRequest) -> Thread:
    refusals.check_thread(body)
    return await once.do(Thread, lambda session: threads.modify(session, project, thread_id, body))


@router.delete("/{thread_id}", operation_id="deleteThread")
async def delete_thread(thread_id: ThreadId, project: ProjectDep, commands: RunCommandsDep) -> Deleted:
    await commands.delete_thread(project, thread_id)
    return Deleted(id=thread_id, object="thread.deleted")
