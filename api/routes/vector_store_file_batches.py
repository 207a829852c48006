"""`/vector_stores/{vector_store_id}/file_batches`."""

from fastapi import APIRouter
from sqlalchemy import Connection

from api.beta import AssistantsRoute
from api.dependencies import AnyBeta, DatabaseDep, IdempotencyDep, IngestCommandsDep, PageDep, PollAfter, ProjectDep
from api.routes.vector_store_files import StatusFilter
from infra.database import vector_store_file_batches, vector_store_files
from models.ids import FileBatchId, VectorStoreId
from models.lists import Page, PageRequest
from models.vector_stores import CreateFileBatchRequest, FileBatch, StoreFileStatus, VectorStoreFile

router = APIRouter(
    prefix="/vector_stores/{vector_store_id}/file_batches",
    tags=["Vector stores"],
    dependencies=[AnyBeta],
    route_class=AssistantsRoute,
)


@router.post("", operation_id="createVectorStoreFileBatch")
async def create_file_batch(
    vector_store_id: VectorStoreId,
    project: ProjectDep,
    commands: IngestCommandsDep,
    idempotency: IdempotencyDep,
    body: CreateFileBatchRequest,
) -> FileBatch:
    return await commands.create_batch(idempotency, project, vector_store_id, body)


@router.get("/{batch_id}", operation_id="getVectorStoreFileBatch", dependencies=[PollAfter])
async def retrieve_file_batch(
    vector_store_id: VectorStoreId, batch_id: FileBatchId, database: DatabaseDep, project: ProjectDep
) -> FileBatch:
    return await database.read(vector_store_file_batches.load, project, vector_store_id, batch_id)


@router.post("/{batch_id}/cancel", operation_id="cancelVectorStoreFileBatch")
async def cancel_file_batch(
    vector_store_id: VectorStoreId,
    batch_id: FileBatchId,
    project: ProjectDep,
    commands: IngestCommandsDep,
    idempotency: IdempotencyDep,
) -> FileBatch:
    return await commands.cancel_batch(idempotency, project, vector_store_id, batch_id)


@router.get("/{batch_id}/files", operation_id="listFilesInVectorStoreBatch")
async def list_files_of_batch(
    vector_store_id: VectorStoreId,
    batch_id: FileBatchId,
    database: DatabaseDep,
    project: ProjectDep,
    page: PageDep,
    status: StatusFilter = None,
) -> Page[VectorStoreFile]:
    return await database.read(_list, project, vector_store_id, batch_id, page, status)


def _list(
    connection: Connection,
    project: str,
    store_id: str,
    batch_id: str,
    page: PageRequest,
    status: StoreFileStatus | None,
) -> Page[VectorStoreFile]:
    vector_store_file_batches.load(connection, project, store_id, batch_id)
    return vector_store_files.list_page(connection, project, store_id, page, status, batch_id)
