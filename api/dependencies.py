"""Dependencies of routes: the open resources, the caller and its project, and the page of a list."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BeforeValidator

from api.authentication import Caller, caller_of
from api.beta import BetaVersion, beta_version
from api.headers import POLL_AFTER
from api.idempotency import Idempotency, fingerprint_of
from api.ingest_commands import IngestCommands
from api.long_polls import LongPolls
from api.run_commands import RunCommands
from api.run_timelines import RunTimelines
from api.sse import Streams
from api.v1_answers import V1Answers
from infra.database.engine import Database
from infra.language_model.catalogue import ModelCatalogue
from infra.ports import CodeSandbox, ObjectStore, VectorIndex
from infra.resources import Resources
from infra.vector_store_search import VectorStoreSearch
from models.errors import UnknownUrl
from models.ids import AnyId
from models.lists import DEFAULT_LIMIT, MAX_LIMIT, Order, PageRequest

MAX_IDEMPOTENCY_KEY_LENGTH = 255
OF_OPERATORS = ""
"""The project under which operators' idempotency keys are stored: no real project has this name."""

_BEARER = HTTPBearer(scheme_name="ApiKeyAuth", auto_error=False)


# All dependencies are coroutines: FastAPI runs a plain function in a thread, on every request.
async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


async def _poll_after(resources: ResourcesDep, response: Response) -> None:
    response.headers[POLL_AFTER] = str(resources.settings.poll_after_ms)


PollAfter = Depends(_poll_after)
"""The SDKs' poll helpers wait as long as this header says; without it Python waits 1 s and Node 5 s."""


async def _database(resources: ResourcesDep) -> Database:
    return resources.database


async def _object_store(resources: ResourcesDep) -> ObjectStore:
    return resources.object_store


async def _sandbox(resources: ResourcesDep) -> CodeSandbox | None:
    return resources.code_sandbox


async def _catalogue(resources: ResourcesDep) -> ModelCatalogue:
    return resources.catalogue


async def _run_commands(request: Request) -> RunCommands:
    commands: RunCommands = request.app.state.run_commands
    return commands


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


async def _long_polls(request: Request) -> LongPolls:
    polls: LongPolls = request.app.state.long_polls
    return polls


async def _run_timelines(request: Request) -> RunTimelines:
    timelines: RunTimelines = request.app.state.run_timelines
    return timelines


async def _caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Caller:
    """Raises `Unauthenticated`."""
    caller = caller_of(request)
    request.state.project = caller.project
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


async def _project(caller: CallerDep) -> str:
    """The project that the caller's key names. Raises `Unauthenticated`, and `Forbidden` where it names none."""
    return caller.require_project()


async def _operator(caller: CallerDep) -> None:
    """Raises `Unauthenticated`, and `Forbidden` for a project's key."""
    caller.require_operator()


Operator = Depends(_operator)
ProjectDep = Annotated[str, Depends(_project)]


async def _assistants_beta(request: Request, resources: ResourcesDep, _: ProjectDep) -> BetaVersion:
    """Raises `InvalidRequest` for a version that is unknown, or missing where the settings require it."""
    return beta_version(request, resources.settings.require_beta_header)


async def _is_v1(version: Annotated[BetaVersion, Depends(_assistants_beta)]) -> bool:
    return version is BetaVersion.V1


async def _v1_answers(
    version: Annotated[BetaVersion, Depends(_assistants_beta)], resources: ResourcesDep, project: ProjectDep
) -> V1Answers | None:
    return V1Answers(resources.database, project) if version is BetaVersion.V1 else None


async def _only_v1(request: Request, _: ProjectDep) -> None:
    """For routes that later versions lack. Raises `UnknownUrl`, and `InvalidRequest` for an unknown version."""
    if beta_version(request) is not BetaVersion.V1:
        raise UnknownUrl(request.method, request.url.path)


async def _v1_file_ids(request: Request) -> list[str] | None:
    found: list[str] | None = getattr(request.state, "v1_file_ids", None)
    return found


async def _any_beta(request: Request) -> BetaVersion:
    """For routes that OpenAI served without the header as well. Raises `InvalidRequest` for an unknown version."""
    return beta_version(request)


async def _vector_index(resources: ResourcesDep) -> VectorIndex:
    return resources.vector_index


async def _search(resources: ResourcesDep) -> VectorStoreSearch:
    return VectorStoreSearch(
        resources.database, resources.embedders, resources.vector_index, resources.searchable_files
    )


async def _ingest_commands(request: Request) -> IngestCommands:
    commands: IngestCommands = request.app.state.ingest_commands
    return commands


# Programs that always write the parameter send an empty cursor for the first page.
Cursor = Annotated[AnyId | None, BeforeValidator(lambda given: given or None)]


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    order: Order = Order.DESC,
    after: Cursor = None,
    before: Cursor = None,
) -> PageRequest:
    return PageRequest(limit, order, after, before)


IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=MAX_IDEMPOTENCY_KEY_LENGTH)]


async def _idempotency(
    request: Request,
    database: Annotated[Database, Depends(_database)],
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
) -> Idempotency:
    fingerprint = "" if idempotency_key is None else await fingerprint_of(request)
    return Idempotency(database, caller.project or OF_OPERATORS, idempotency_key, fingerprint)


CatalogueDep = Annotated[ModelCatalogue, Depends(_catalogue)]
SandboxDep = Annotated[CodeSandbox | None, Depends(_sandbox)]
DatabaseDep = Annotated[Database, Depends(_database)]
ObjectStoreDep = Annotated[ObjectStore, Depends(_object_store)]
LongPollsDep = Annotated[LongPolls, Depends(_long_polls)]
RunCommandsDep = Annotated[RunCommands, Depends(_run_commands)]
StreamsDep = Annotated[Streams, Depends(_streams)]
RunTimelinesDep = Annotated[RunTimelines, Depends(_run_timelines)]
IdempotencyDep = Annotated[Idempotency, Depends(_idempotency)]
PageDep = Annotated[PageRequest, Depends(_page)]
IngestCommandsDep = Annotated[IngestCommands, Depends(_ingest_commands)]
SearchDep = Annotated[VectorStoreSearch, Depends(_search)]
VectorIndexDep = Annotated[VectorIndex, Depends(_vector_index)]
AnyBeta = Depends(_any_beta)
AssistantsBeta = Depends(_assistants_beta)
OnlyV1 = Depends(_only_v1)
IsV1Dep = Annotated[bool, Depends(_is_v1)]
V1AnswersDep = Annotated[V1Answers | None, Depends(_v1_answers)]
"""None for v2."""

V1FileIdsDep = Annotated[list[str] | None, Depends(_v1_file_ids)]
"""The `file_ids` with which a v1 program changes an assistant; None where it does not change them."""
