"""`/threads/{thread_id}/runs/{run_id}/events`: streams any run from any event on, an extension of OpenAI's API."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from api.beta import AssistantsRoute
from api.dependencies import AssistantsBeta, DatabaseDep, ProjectDep, StreamsDep, V1AnswersDep
from api.include import IncludeDep, IncludeParameters
from api.sse import FROM_THE_BEGINNING, UNTIL_ENDED, OrStream
from infra.database import runs
from models.ids import RunId, ThreadId
from models.wire import MAX_SAFE_INTEGER

router = APIRouter(prefix="/threads", tags=["Runs"], dependencies=[AssistantsBeta], route_class=AssistantsRoute)

After = Annotated[int | None, Query(ge=0, le=MAX_SAFE_INTEGER)]
LastEventId = Annotated[int | None, Header(ge=0, le=MAX_SAFE_INTEGER)]


@router.get(
    "/{thread_id}/runs/{run_id}/events",
    operation_id="listRunEvents",
    openapi_extra=IncludeParameters,
    response_class=StreamingResponse,
    responses=OrStream,
)
async def follow_run(
    thread_id: ThreadId,
    run_id: RunId,
    database: DatabaseDep,
    project: ProjectDep,
    streams: StreamsDep,
    v1: V1AnswersDep,
    with_content: IncludeDep,
    after: After = None,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """The run's events after number `after`, or after the `Last-Event-ID` that browsers send when they reconnect."""
    await database.read(runs.load, project, thread_id, run_id)
    # A client that reconnects repeats the `after` of its first request as well.
    seen = max(number for number in (after, last_event_id, FROM_THE_BEGINNING) if number is not None)
    return streams.response(UNTIL_ENDED, run_id, seen, v1, with_content)
