"""`/vector_stores/{vector_store_id}/files`."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.beta import AssistantsRoute
from api.dependencies import (
    AnyBeta,
    DatabaseDep,
    IdempotencyDep,
    IngestCommandsDep,
    PageDep,
    PollAfter,
    ProjectDep,
    VectorIndexDep,
)
from infra.database import vector_store_files, vector_stores
from infra.vector_store_content import content_of
from models.ids import FileId, VectorStoreId
from models.lists import Page
from models.vector_stores import (
    CreateVectorStoreFileRequest,
    FileContentPage,
    ModifyVectorStoreFileRequest,
    StoreFileStatus,
    VectorStoreFile,
)
from models.wire import Deleted

router = APIRouter(
    prefix="/vector_stores/{vector_store_id}/files",
    tags=["Vector stores"],
    dependencies=[AnyBeta],
    route_class=AssistantsRoute,
)

StatusFilter = Annotated[StoreFileStatus | None, Query(alias="filter")]


@router.post("", operation_id="createVectorStoreFile")
async def create_vector_store_file(
    vector_store_id: VectorStoreId,
    project: ProjectDep,
    commands: IngestCommandsDep,
    idempotency: IdempotencyDep,
    body: CreateVectorStoreFileRequest,
) -> VectorStoreFile:
    return await commands.add_file(idempotency, project, vector_store_id, body)


@router.get("", operation_id="listVectorStoreFiles")
async def list_vector_store_files(
    vector_store_id: VectorStoreId,
    database: DatabaseDep,
    project: ProjectDep,
    page: PageDep,
    status: StatusFilter = None,
) -> Page[VectorStoreFile]:
    return await database.read(vector_store_files.list_page, project, vector_store_id, page, status)


@router.get("/{file_id}", operation_id="getVectorStoreFile", dependencies=[PollAfter])
async def retrieve_vector_store_file(
    vector_store_id: VectorStoreId, file_id: FileId, database: DatabaseDep, project: ProjectDep
) -> VectorStoreFile:
    return await database.read(vector_store_files.load, project, vector_store_id, file_id)


@router.post("/{file_id}", operation_id="updateVectorStoreFileAttributes")
async def modify_vector_store_file(
    vector_store_id: VectorStoreId,
    file_id: FileId,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    body: ModifyVectorStoreFileRequest,
) -> VectorStoreFile:
    attributes = body.attributes or {}
    return await idempotency.run(
        VectorStoreFile,
        lambda connection: vector_store_files.modify(connection, project, vector_store_id, file_id, attributes),
    )


@router.delete("/{file_id}", operation_id="deleteVectorStoreFile")
async def delete_vector_store_file(
    vector_store_id: VectorStoreId, file_id: FileId, project: ProjectDep, commands: IngestCommandsDep
) -> Deleted:
    await commands.remove_file(project, vector_store_id, file_id)
    return Deleted(id=file_id, object="vector_store.file.deleted")


@router.get("/{file_id}/content", operation_id="retrieveVectorStoreFileContent")
async def retrieve_vector_store_file_content(
    vector_store_id: VectorStoreId, file_id: FileId, database: DatabaseDep, index: VectorIndexDep, project: ProjectDep
) -> FileContentPage:
    store = await database.read(vector_stores.find_open, project, vector_store_id)
    row = await database.read(vector_store_files.find, project, vector_store_id, file_id)
    return await content_of(index, vector_stores.indexed(store), row)
