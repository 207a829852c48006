"""`/ops/files`: operators list, inspect and retry files of vector stores. Not part of the Assistants API."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from api.dependencies import CallerDep, IdempotencyDep, IngestCommandsDep, ResourcesDep
from api.json_bodies import JsonRoute
from infra.clock import MS_PER_SECOND
from infra.database import ops_files
from infra.database.columns import AnyRow
from infra.database.ingestions import ingest_input
from infra.database.ops_files import FileFilter
from infra.resources import Resources
from infra.temporal import workflows_url
from models.documents import FileErrorCode
from models.ids import FileId, StoreFileCursor, StoreFileName, VectorStoreId
from models.lists import DEFAULT_LIMIT, MAX_LIMIT, Order, Page, PageRequest
from models.ops_files import OpsFile, RetryFileRequest, UnfinishedStatus
from models.wire import MAX_SAFE_INTEGER

router = APIRouter(prefix="/ops/files", tags=["Operations"], route_class=JsonRoute)

Cursor = Annotated[StoreFileCursor | None, BeforeValidator(lambda given: given or None)]


@router.get("", operation_id="listOpsFiles")
async def list_files(
    resources: ResourcesDep,
    caller: CallerDep,
    status: UnfinishedStatus = "failed",
    store: VectorStoreId | None = None,
    file: FileId | None = None,
    error: FileErrorCode | None = None,
    since: Annotated[int | None, Query(ge=0, le=MAX_SAFE_INTEGER)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    order: Order = Order.DESC,
    after: Cursor = None,
    before: Cursor = None,
) -> Page[OpsFile]:
    """Files that are not completed, in the project's vector stores, or in those of all projects for an operator's key.

    `since`, in seconds since the epoch, is compared with the time at which a file failed or was cancelled; of files in
    progress, with that at which their ingestion began.
    """
    page = PageRequest(limit, order, after, before)
    wanted = FileFilter(status, store, file, error, since)
    rows, has_more = await resources.database.read(ops_files.list_page, caller.project, page, wanted)
    return Page[OpsFile].of([_shown(row, resources) for row in rows], has_more)


@router.get("/{vector_store_id}/{file_id}", operation_id="getOpsFile")
async def retrieve_file(
    vector_store_id: VectorStoreId, file_id: FileId, resources: ResourcesDep, caller: CallerDep
) -> OpsFile:
    return await _load(resources, caller.project, StoreFileName(vector_store_id, file_id))


@router.post("/{vector_store_id}/{file_id}/retry", operation_id="retryOpsFile")
async def retry_file(
    vector_store_id: VectorStoreId,
    file_id: FileId,
    resources: ResourcesDep,
    caller: CallerDep,
    idempotency: IdempotencyDep,
    commands: IngestCommandsDep,
    body: RetryFileRequest,
) -> OpsFile:
    """Ingest a failed file anew, as it was added: with its chunking strategy, its attributes and its batch."""
    name = StoreFileName(vector_store_id, file_id)
    found = await _load(resources, caller.project, name)
    await commands.retry(idempotency, found.project, name, body.by or caller.name)
    return await _load(resources, caller.project, name)


async def _load(resources: Resources, project_id: str | None, name: StoreFileName) -> OpsFile:
    return _shown(await resources.database.read(ops_files.load, project_id, name), resources)


def _shown(row: AnyRow, resources: Resources) -> OpsFile:
    file = ingest_input(row)
    workflows = workflows_url(resources.settings, resources.temporal.namespace)
    return OpsFile(
        id=str(StoreFileName(file.store_id, file.file_id)),
        project=row.project_id,
        vector_store_id=file.store_id,
        file_id=file.file_id,
        batch_id=row.batch_id,
        status=row.status,
        created_at=row.created_at,
        started_at=file.generation // MS_PER_SECOND,
        ended_at=row.ended_at,
        chunks=row.chunks,
        usage_bytes=row.usage_bytes,
        last_error=row.last_error,
        temporal_url=workflows and f"{workflows}/{quote(file.workflow_id, safe='')}",
    )
