"""`/ops/runs`: operators list, inspect, retry and cancel runs. Not part of the Assistants API: no beta version."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import CallerDep, IdempotencyDep, PageDep, RunCommandsDep, RunTimelinesDep
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
    caller: CallerDep,
    page: PageDep,
    status: RunStatus | None = None,
    assistant: AssistantId | None = None,
    thread: ThreadId | None = None,
    error: LastErrorCode | None = None,
    since: Annotated[int | None, Query(ge=0, le=MAX_SAFE_INTEGER)] = None,
) -> Page[OpsRun]:
    """The project's runs, or those of all projects for an operator's key.

    `since`, in seconds since the epoch, is compared with the time of failure if failed runs are asked for, and with
    the time of creation otherwise.
    """
    return await timelines.list_page(caller.project, page, RunFilter(status, assistant, thread, error, since))


@router.get("/{run_id}", operation_id="getOpsRun")
async def retrieve_run(run_id: RunId, timelines: RunTimelinesDep, caller: CallerDep) -> OpsRunTimeline:
    """The run's course, turn by turn: attempts, failures, tokens, names of calls, retries. Never texts of messages."""
    return await timelines.timeline(caller.project, run_id)


@router.post("/{run_id}/retry", operation_id="retryOpsRun")
async def retry_run(
    run_id: RunId,
    caller: CallerDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    timelines: RunTimelinesDep,
    body: RetryRunRequest,
) -> OpsRun:
    """Retry a failed run with the turn that failed; completed turns are not repeated."""
    found = await timelines.load(caller.project, run_id)
    await commands.retry(idempotency, found.project, run_id, body.by or caller.name)
    return await timelines.load(caller.project, run_id)


@router.post("/{run_id}/cancel", operation_id="cancelOpsRun")
async def cancel_run(
    run_id: RunId,
    caller: CallerDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    timelines: RunTimelinesDep,
) -> OpsRun:
    """Cancel a run by its id alone."""
    found = await timelines.load(caller.project, run_id)
    await commands.cancel(idempotency, found.project, found.thread_id, run_id)
    return await timelines.load(caller.project, run_id)
