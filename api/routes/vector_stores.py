"""`/vector_stores`."""

from fastapi import APIRouter

from api.beta import AssistantsRoute
from api.dependencies import AnyBeta, DatabaseDep, IdempotencyDep, IngestCommandsDep, PageDep, ProjectDep, SearchDep
from infra.database import vector_stores
from models.errors import InvalidRequest
from models.ids import VectorStoreId
from models.lists import Page
from models.vector_store_search import SearchRequest, SearchResultsPage
from models.vector_stores import CreateVectorStoreRequest, ModifyVectorStoreRequest, VectorStore
from models.wire import Deleted

router = APIRouter(prefix="/vector_stores", tags=["Vector stores"], dependencies=[AnyBeta], route_class=AssistantsRoute)

REWRITING = "Query rewriting is not supported by this server: leave 'rewrite_query' out, or send false."


@router.post("", operation_id="createVectorStore")
async def create_vector_store(
    project: ProjectDep,
    commands: IngestCommandsDep,
    idempotency: IdempotencyDep,
    body: CreateVectorStoreRequest | None = None,
) -> VectorStore:
    body = body or CreateVectorStoreRequest()
    if body.chunking_strategy is not None and not body.file_ids:
        raise InvalidRequest(
            "'chunking_strategy' can only be given with 'file_ids'.", "chunking_strategy", "invalid_value"
        )
    return await commands.create_store(idempotency, project, body)


@router.get("", operation_id="listVectorStores")
async def list_vector_stores(database: DatabaseDep, project: ProjectDep, page: PageDep) -> Page[VectorStore]:
    return await database.read(vector_stores.list_page, project, page)


@router.get("/{vector_store_id}", operation_id="getVectorStore")
async def retrieve_vector_store(
    vector_store_id: VectorStoreId, database: DatabaseDep, project: ProjectDep
) -> VectorStore:
    return await database.read(vector_stores.load, project, vector_store_id)


@router.post("/{vector_store_id}", operation_id="modifyVectorStore")
async def modify_vector_store(
    vector_store_id: VectorStoreId, project: ProjectDep, idempotency: IdempotencyDep, body: ModifyVectorStoreRequest
) -> VectorStore:
    return await idempotency.run(
        VectorStore, lambda connection: vector_stores.modify(connection, project, vector_store_id, body)
    )


@router.delete("/{vector_store_id}", operation_id="deleteVectorStore")
async def delete_vector_store(
    vector_store_id: VectorStoreId, project: ProjectDep, commands: IngestCommandsDep
) -> Deleted:
    await commands.remove_store(project, vector_store_id)
    return Deleted(id=vector_store_id, object="vector_store.deleted")


@router.post("/{vector_store_id}/search", operation_id="searchVectorStore")
async def search_vector_store(
    vector_store_id: VectorStoreId, project: ProjectDep, search: SearchDep, body: SearchRequest
) -> SearchResultsPage:
    if body.rewrite_query:
        raise InvalidRequest(REWRITING, "rewrite_query", "unsupported_parameter")
    return await search.search(project, vector_store_id, body)
