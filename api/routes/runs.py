"""`/threads/runs` and `/threads/{thread_id}/runs`."""

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from api.beta import AssistantsRoute
from api.code_tools import check_tools
from api.dependencies import (
    AssistantsBeta,
    DatabaseDep,
    IdempotencyDep,
    LongPollsDep,
    PageDep,
    PollAfter,
    ProjectDep,
    ResourcesDep,
    RunCommandsDep,
    SandboxDep,
    StreamsDep,
    V1AnswersDep,
)
from api.include import IncludeDep, IncludeParameters, RefusesInclude
from api.poll_route import PollRoute
from api.sse import FROM_THE_BEGINNING, UNTIL_PAUSED, OrStream
from api.unsupported_features import check_searches
from infra.database import runs, threads
from models.ids import RunId, ThreadId
from models.lists import Page
from models.runs import CreateRunRequest, CreateThreadAndRunRequest, ModifyRunRequest, Run, SubmitToolOutputsRequest

router = APIRouter(prefix="/threads", tags=["Runs"], dependencies=[AssistantsBeta], route_class=AssistantsRoute)
polls_router = APIRouter(prefix="/threads", tags=["Runs"], dependencies=[AssistantsBeta], route_class=PollRoute)


@router.post(
    "/runs",
    operation_id="createThreadAndRun",
    dependencies=[RefusesInclude],
    response_model=Run,
    responses=OrStream,
)
async def create_thread_and_run(
    body: CreateThreadAndRunRequest,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    streams: StreamsDep,
    v1: V1AnswersDep,
    sandbox: SandboxDep,
    long_polls: LongPollsDep,
) -> Run | StreamingResponse:
    check_searches(body.tools)
    await check_tools(sandbox, body.tools)
    run = await commands.create_with_thread(idempotency, project, body, is_v1=v1 is not None)
    if body.stream:
        return streams.response(UNTIL_PAUSED, run.id, FROM_THE_BEGINNING, v1)
    long_polls.answered(project, run)
    return run


@router.post(
    "/{thread_id}/runs",
    operation_id="createRun",
    openapi_extra=IncludeParameters,
    response_model=Run,
    responses=OrStream,
)
async def create_run(
    thread_id: ThreadId,
    body: CreateRunRequest,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    streams: StreamsDep,
    v1: V1AnswersDep,
    with_content: IncludeDep,
    sandbox: SandboxDep,
    long_polls: LongPollsDep,
) -> Run | StreamingResponse:
    check_searches(body.tools)
    await check_tools(sandbox, body.tools)
    run = await commands.create(idempotency, project, thread_id, body, is_v1=v1 is not None)
    if body.stream:
        return streams.response(UNTIL_PAUSED, run.id, FROM_THE_BEGINNING, v1, with_content)
    long_polls.answered(project, run)
    return run


@router.get("/{thread_id}/runs", operation_id="listRuns")
async def list_runs(thread_id: ThreadId, database: DatabaseDep, project: ProjectDep, page: PageDep) -> Page[Run]:
    def load(connection: Connection) -> Page[Run]:
        threads.load(connection, project, thread_id)
        return runs.list_page(connection, project, thread_id, page)

    return await database.read(load)


@polls_router.get("/{thread_id}/runs/{run_id}", operation_id="getRun", dependencies=[PollAfter])
async def retrieve_run(
    thread_id: ThreadId,
    run_id: RunId,
    resources: ResourcesDep,
    project: ProjectDep,
    long_polls: LongPollsDep,
    request: Request,
) -> Run:
    async def load() -> Run:
        return await resources.database.read(runs.load, project, thread_id, run_id)

    return await long_polls.answer(request.headers, project, run_id, load)


@router.post("/{thread_id}/runs/{run_id}", operation_id="modifyRun")
async def modify_run(
    thread_id: ThreadId,
    run_id: RunId,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    body: ModifyRunRequest,
    resources: ResourcesDep,
) -> Run:
    run = await idempotency.run(Run, lambda connection: runs.modify(connection, project, thread_id, run_id, body))
    # Held polls show it.
    await resources.event_stream.announce(run_id)
    return run


@router.post("/{thread_id}/runs/{run_id}/cancel", operation_id="cancelRun")
async def cancel_run(
    thread_id: ThreadId, run_id: RunId, project: ProjectDep, idempotency: IdempotencyDep, commands: RunCommandsDep
) -> Run:
    return await commands.cancel(idempotency, project, thread_id, run_id)


@router.post(
    "/{thread_id}/runs/{run_id}/submit_tool_outputs",
    operation_id="submitToolOuputsToRun",
    dependencies=[RefusesInclude],
    response_model=Run,
    responses=OrStream,
)
async def submit_tool_outputs(
    thread_id: ThreadId,
    run_id: RunId,
    body: SubmitToolOutputsRequest,
    project: ProjectDep,
    idempotency: IdempotencyDep,
    commands: RunCommandsDep,
    streams: StreamsDep,
    v1: V1AnswersDep,
    long_polls: LongPollsDep,
) -> Run | StreamingResponse:
    submitted = await commands.submit(idempotency, project, thread_id, run_id, body)
    if body.stream:
        return streams.response(UNTIL_PAUSED, run_id, submitted.first_event - 1, v1)
    long_polls.answered(project, submitted.run)
    return submitted.run
