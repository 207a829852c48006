"""`/ops/runs`: what operators see of runs and do with them. No Assistants API, so without a beta version."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import IdempotencyDep, PageDep, ProjectDep, RunCommandsDep, RunTimelinesDep
from api.json_bodies import JsonRoute
from infra.database.ops_runs import RunFilter
from models.ids import AssistantId, RunId, ThreadId
from models.lists import Page
from models.ops_runs import OpsRun, OpsRunTimeline, RetryRunRequest
from models.runs import LastErrorCode, RunStatus
from models.wire import MAX_SAFE_INTEGER

router = APIRouter(prefix="/ops/runs", tags=["Operations"], route_class=JsonRoute)


@router.get("", operation_id="listOpsRuns")
async def list_runs(
    timelines: RunTimelinesDep,
    project: ProjectDep,
    page: PageDep,
    status: RunStatus | None = None,
    assistant: AssistantId | None = None,
    thread: ThreadId | None = None,
    error: LastErrorCode | None = None,
    since: Annotated[int | None, Query(ge=0, le=MAX_SAFE_INTEGER)] = None,
) -> Page[OpsRun]:
    """The project's runs. `since`, in seconds since the epoch: failed since then, where failed ones are asked for;
    created since then otherwise."""
    return await timelines.list_page(project, page, RunFilter(status, assistant, thread, error, since))


@router.get("/{run_id}", operation_id="getOpsRun")
async def retrieve_run(run_id: RunId, timelines: RunTimelinesDep, project: ProjectDep) -> OpsRunTimeline:
    """What the run did, turn by turn: attempts, failures, tokens, names of calls, retries. Never what was said."""
    return await timelines.timeline(project, run_id)


@router.post("/{run_id}/retry", operation_id="retryOpsRun")
async def retry_run(
    run_id: RunId,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    timelines: RunTimelinesDep,
    body: RetryRunRequest,
) -> OpsRun:
    """Have a failed run go on with the turn that failed; what was finished is not done again."""
    await commands.retry(idempotency, project, run_id, body.by or f"project {project}")
    return await timelines.load(project, run_id)


@router.post("/{run_id}/cancel", operation_id="cancelOpsRun")
async def cancel_run(
    run_id: RunId,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    timelines: RunTimelinesDep,
) -> OpsRun:
    """Cancel a run by its id alone."""
    found = await timelines.load(project, run_id)
    await commands.cancel(idempotency, project, found.thread_id, run_id)
    return await timelines.load(project, run_id)
