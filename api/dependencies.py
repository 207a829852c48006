"""Dependencies of routes: the open resources, the caller and its project, and the page of a list."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BeforeValidator

from api.authentication import Caller, authenticated
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

DeclaresKey = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
"""For the OpenAPI document. It reads nothing that `caller_of` does not read itself."""


# All dependencies are coroutines: FastAPI runs a plain function in a thread, on every request. They take the request
# rather than each other: FastAPI walks through the whole tree of a dependency wherever it is named, at 12 µs a node.
async def _resources(request: Request) -> Resources:
    return resources_of(request)


def resources_of(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _poll_after(request: Request, response: Response) -> None:
    response.headers[POLL_AFTER] = str(resources_of(request).settings.poll_after_ms)


PollAfter = Depends(_poll_after)
"""The SDKs' poll helpers wait as long as this header says; without it Python waits 1 s and Node 5 s."""


async def _database(request: Request) -> Database:
    return resources_of(request).database


async def _object_store(request: Request) -> ObjectStore:
    return resources_of(request).object_store


async def _sandbox(request: Request) -> CodeSandbox | None:
    return resources_of(request).code_sandbox


async def _catalogue(request: Request) -> ModelCatalogue:
    return resources_of(request).catalogue


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


async def _caller(request: Request, _: DeclaresKey) -> Caller:
    """Raises `Unauthenticated`."""
    return authenticated(request)


async def _project(request: Request, _: DeclaresKey) -> str:
    """The project that the caller's key names. Raises `Unauthenticated`, and `Forbidden` where it names none."""
    return authenticated(request).require_project()


async def _operator(request: Request, _: DeclaresKey) -> None:
    """Raises `Unauthenticated`, and `Forbidden` for a project's key."""
    authenticated(request).require_operator()


Operator = Depends(_operator)


async def _assistants_beta(request: Request) -> BetaVersion:
    """Raises the errors of `_project`, and `InvalidRequest` for a version that is unknown or missing but required."""
    authenticated(request).require_project()
    return beta_version(request, resources_of(request).settings.require_beta_header)


async def _is_v1(request: Request) -> bool:
    """For routes with `AssistantsBeta`, as is `_v1_answers`."""
    return beta_version(request) is BetaVersion.V1


async def _v1_answers(request: Request) -> V1Answers | None:
    if beta_version(request) is not BetaVersion.V1:
        return None
    return V1Answers(resources_of(request).database, authenticated(request).require_project())


async def _only_v1(request: Request) -> None:
    """For routes that later versions lack. Raises the errors of `_assistants_beta`, and `UnknownUrl`."""
    authenticated(request).require_project()
    if beta_version(request) is not BetaVersion.V1:
        raise UnknownUrl(request.method, request.url.path)


async def _v1_file_ids(request: Request) -> list[str] | None:
    found: list[str] | None = getattr(request.state, "v1_file_ids", None)
    return found


async def _any_beta(request: Request) -> BetaVersion:
    """For routes that OpenAI served without the header as well. Raises `InvalidRequest` for an unknown version."""
    return beta_version(request)


async def _vector_index(request: Request) -> VectorIndex:
    return resources_of(request).vector_index


async def _search(request: Request) -> VectorStoreSearch:
    resources = resources_of(request)
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


async def _idempotency(request: Request, idempotency_key: IdempotencyKey = None) -> Idempotency:
    project = authenticated(request).project or OF_OPERATORS
    fingerprint = "" if idempotency_key is None else await fingerprint_of(request)
    return Idempotency(resources_of(request).database, project, idempotency_key, fingerprint)


CallerDep = Annotated[Caller, Depends(_caller)]
ProjectDep = Annotated[str, Depends(_project)]
ResourcesDep = Annotated[Resources, Depends(_resources)]
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
