"""`/assistants/{assistant_id}/files`, which only the first beta has."""

from fastapi import APIRouter
from sqlalchemy import Connection

from api import assistant_files
from api.assistant_files import AssistantFiles
from api.beta import AssistantsRoute
from api.dependencies import DatabaseDep, IdempotencyDep, IngestCommandsDep, OnlyV1, PageDep, ProjectDep
from api.tool_resources import RequestedResources
from models.beta_v1 import AssistantFile, CreateAssistantFileRequest
from models.ids import AssistantId, FileId
from models.lists import Page
from models.wire import Deleted

router = APIRouter(
    prefix="/assistants/{assistant_id}/files",
    dependencies=[OnlyV1],
    route_class=AssistantsRoute,
    include_in_schema=False,
)


@router.post("", operation_id="createAssistantFile")
async def create_assistant_file(
    assistant_id: AssistantId,
    body: CreateAssistantFileRequest,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    ingest: IngestCommandsDep,
) -> AssistantFile:
    files = AssistantFiles(RequestedResources(ingest, project))
    file = await idempotency.run(AssistantFile, lambda connection: files.add(connection, assistant_id, body.file_id))
    await files.start()
    return file


@router.get("", operation_id="listAssistantFiles")
async def list_assistant_files(
    assistant_id: AssistantId, database: DatabaseDep, project: ProjectDep, page: PageDep
) -> Page[AssistantFile]:
    return await database.read(assistant_files.list_page, project, assistant_id, page)


@router.get("/{file_id}", operation_id="getAssistantFile")
async def retrieve_assistant_file(
    assistant_id: AssistantId, file_id: FileId, database: DatabaseDep, project: ProjectDep
) -> AssistantFile:
    return await database.read(assistant_files.load, project, assistant_id, file_id)


@router.delete("/{file_id}", operation_id="deleteAssistantFile")
async def delete_assistant_file(
    assistant_id: AssistantId, file_id: FileId, database: DatabaseDep, project: ProjectDep, ingest: IngestCommandsDep
) -> Deleted:
    """Takes the file from the assistant; the file itself stays."""
    files = AssistantFiles(RequestedResources(ingest, project))

    def remove(connection: Connection) -> None:
        files.remove(connection, assistant_id, file_id)

    await database.write(remove)
    await files.start()
    return Deleted(id=file_id, object="assistant.file.deleted")
