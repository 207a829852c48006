"""`/assistants`."""

from fastapi import APIRouter
from sqlalchemy import Connection

from api.assistant_files import AssistantFiles
from api.beta import AssistantsRoute
from api.code_tools import check_tools
from api.dependencies import (
    AssistantsBeta,
    CatalogueDep,
    DatabaseDep,
    IdempotencyDep,
    IngestCommandsDep,
    PageDep,
    ProjectDep,
    SandboxDep,
    V1FileIdsDep,
)
from api.tool_resources import RequestedResources, check_named
from api.unsupported_features import check_searches
from infra.database import assistants
from infra.language_model.catalogue import ModelCatalogue
from models.assistants import Assistant, CreateAssistantRequest, ModifyAssistantRequest
from models.errors import ModelNotFound
from models.ids import AssistantId
from models.lists import Page
from models.wire import Deleted

router = APIRouter(
    prefix="/assistants", tags=["Assistants"], dependencies=[AssistantsBeta], route_class=AssistantsRoute
)


@router.post("", operation_id="createAssistant")
async def create_assistant(
    body: CreateAssistantRequest,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    catalogue: CatalogueDep,
    ingest: IngestCommandsDep,
    sandbox: SandboxDep,
) -> Assistant:
    check_searches(body.tools)
    await check_tools(sandbox, body.tools)
    _check_model(catalogue, body.model)
    resources = RequestedResources(ingest, project)

    def create(connection: Connection) -> Assistant:
        stored = resources.store(connection, body.tool_resources) if body.tool_resources else None
        return assistants.create(connection, project, body, stored)

    assistant = await idempotency.run(Assistant, create)
    await resources.start()
    return assistant


@router.get("", operation_id="listAssistants")
async def list_assistants(database: DatabaseDep, project: ProjectDep, page: PageDep) -> Page[Assistant]:
    return await database.read(assistants.list_page, project, page)


@router.get("/{assistant_id}", operation_id="getAssistant")
async def retrieve_assistant(assistant_id: AssistantId, database: DatabaseDep, project: ProjectDep) -> Assistant:
    return await database.read(assistants.load, project, assistant_id)


@router.post("/{assistant_id}", operation_id="modifyAssistant")
async def modify_assistant(
    assistant_id: AssistantId,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    catalogue: CatalogueDep,
    ingest: IngestCommandsDep,
    sandbox: SandboxDep,
    v1_file_ids: V1FileIdsDep,
    body: ModifyAssistantRequest,
) -> Assistant:
    check_searches(body.tools)
    await check_tools(sandbox, body.tools)
    _check_model(catalogue, body.model)

    files = AssistantFiles(RequestedResources(ingest, project))

    def modify(connection: Connection) -> Assistant:
        if body.tool_resources:
            check_named(connection, project, body.tool_resources)
        if v1_file_ids is not None:
            files.replace(connection, assistant_id, v1_file_ids)
        return assistants.modify(connection, project, assistant_id, body)

    assistant = await idempotency.run(Assistant, modify)
    await files.start()
    return assistant


@router.delete("/{assistant_id}", operation_id="deleteAssistant")
async def delete_assistant(assistant_id: AssistantId, database: DatabaseDep, project: ProjectDep) -> Deleted:
    await database.write(assistants.remove, project, assistant_id)
    return Deleted(id=assistant_id, object="assistant.deleted")


def _check_model(catalogue: ModelCatalogue, model: str | None) -> None:
    if model is not None and not catalogue.offers(model):
        raise ModelNotFound(model)
