"""`/threads/{thread_id}/runs/{run_id}/steps`."""

from fastapi import APIRouter

from api.dependencies import DatabaseDep, PageDep, ProjectDep
from infra.database import run_steps, runs
from models.lists import Page
from models.run_steps import RunStep

router = APIRouter(prefix="/threads/{thread_id}/runs/{run_id}/steps", tags=["Run steps"])


@router.get("")
async def list_run_steps(
    thread_id: str, run_id: str, database: DatabaseDep, project: ProjectDep, page: PageDep
) -> Page[RunStep]:
    async with database.reading() as session:
        await runs.load(session, project, thread_id, run_id)
        return await run_steps.list_page(session, project, run_id, page)


@router.get("/{step_id}")
async def retrieve_run_step(
    thread_id: str, run_id: str, step_id: str, database: DatabaseDep, project: ProjectDep
) -> RunStep:
    async with database.reading() as session:
        await runs.load(session, project, thread_id, run_id)
        return await run_steps.load(session, project, run_id, step_id)
