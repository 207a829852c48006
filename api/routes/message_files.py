"""`/threads/{thread_id}/messages/{message_id}/files`, which only the first beta has: what the message attaches."""

from fastapi import APIRouter
from sqlalchemy import Connection

from api.beta import AssistantsRoute
from api.dependencies import DatabaseDep, OnlyV1, PageDep, ProjectDep
from infra.database import messages, threads
from models.beta_v1 import MessageFile
from models.errors import NotFound
from models.ids import FileId, MessageId, ThreadId
from models.lists import Page
from models.short_lists import page_of

router = APIRouter(
    prefix="/threads/{thread_id}/messages/{message_id}/files",
    dependencies=[OnlyV1],
    route_class=AssistantsRoute,
    include_in_schema=False,
)


@router.get("", operation_id="listMessageFiles")
async def list_message_files(
    thread_id: ThreadId, message_id: MessageId, database: DatabaseDep, project: ProjectDep, page: PageDep
) -> Page[MessageFile]:
    return page_of(await database.read(_files, project, thread_id, message_id), page, "file")


@router.get("/{file_id}", operation_id="getMessageFile")
async def retrieve_message_file(
    thread_id: ThreadId, message_id: MessageId, file_id: FileId, database: DatabaseDep, project: ProjectDep
) -> MessageFile:
    for file in await database.read(_files, project, thread_id, message_id):
        if file.id == file_id:
            return file
    raise NotFound.of("file", file_id)


def _files(connection: Connection, project_id: str, thread_id: str, message_id: str) -> list[MessageFile]:
    threads.load(connection, project_id, thread_id)
    message = messages.load(connection, project_id, thread_id, message_id)
    ids = dict.fromkeys(attachment.file_id for attachment in message.attachments)
    return [MessageFile(id=file_id, created_at=message.created_at, message_id=message_id) for file_id in ids]
