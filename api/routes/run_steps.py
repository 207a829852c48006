"""`/threads/{thread_id}/runs/{run_id}/steps`."""

from fastapi import APIRouter
from sqlalchemy import Connection

from api.beta import AssistantsRoute
from api.dependencies import AssistantsBeta, DatabaseDep, PageDep, ProjectDep
from api.include import IncludeDep, IncludeParameters
from infra.database import run_steps, runs
from models.ids import RunId, StepId, ThreadId
from models.lists import Page
from models.run_steps import RunStep

router = APIRouter(
    prefix="/threads/{thread_id}/runs/{run_id}/steps",
    tags=["Run steps"],
    dependencies=[AssistantsBeta],
    route_class=AssistantsRoute,
)


@router.get("", operation_id="listRunSteps", openapi_extra=IncludeParameters)
async def list_run_steps(
    thread_id: ThreadId,
    run_id: RunId,
    database: DatabaseDep,
    project: ProjectDep,
    page: PageDep,
    with_content: IncludeDep,
) -> Page[RunStep]:
    def load(connection: Connection) -> Page[RunStep]:
        runs.load(connection, project, thread_id, run_id)
        return run_steps.list_page(connection, project, run_id, page, with_content)

    return await database.read(load)


@router.get("/{step_id}", operation_id="getRunStep", openapi_extra=IncludeParameters)
async def retrieve_run_step(
    thread_id: ThreadId,
    run_id: RunId,
    step_id: StepId,
    database: DatabaseDep,
    project: ProjectDep,
    with_content: IncludeDep,
) -> RunStep:
    def load(connection: Connection) -> RunStep:
        runs.load(connection, project, thread_id, run_id)
        return run_steps.load(connection, project, run_id, step_id, with_content)

    return await database.read(load)
