"""`/runs`: runs over all threads, an extension of OpenAI's API."""

from fastapi import APIRouter

from api.beta import AssistantsRoute
from api.dependencies import AssistantsBeta, DatabaseDep, PageDep, ProjectDep
from infra.database import runs
from models.lists import Page
from models.runs import Run, RunStatus

router = APIRouter(prefix="/runs", tags=["Runs"], dependencies=[AssistantsBeta], route_class=AssistantsRoute)


@router.get("", operation_id="listAllRuns")
async def list_all_runs(
    database: DatabaseDep, project: ProjectDep, page: PageDep, status: RunStatus | None = None
) -> Page[Run]:
    """The project's runs over all threads, of one status if it is given."""
    return await database.read(runs.list_everywhere, project, page, status)
