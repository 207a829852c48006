"""What routes ask for: the open resources, the caller's project, and a list's page."""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BeforeValidator

from api.beta import BetaVersion, beta_version
from api.held_polls import HeldPolls
from api.once import Once, fingerprint_of
from api.run_commands import RunCommands
from api.run_timelines import RunTimelines
from api.sse import Streams
from infra.database.engine import Database
from infra.language_model.catalogue import ModelCatalogue
from infra.resources import Resources
from models.errors import Unauthenticated
from models.ids import AnyId
from models.lists import DEFAULT_LIMIT, MAX_LIMIT, Order, PageRequest

DEFAULT_PROJECT = "default"
MAX_IDEMPOTENCY_KEY_LENGTH = 255

_BEARER = HTTPBearer(scheme_name="ApiKeyAuth", auto_error=False)


# All of them are coroutines: FastAPI runs plain functions in a thread, once for each on every request.
async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


async def _database(resources: ResourcesDep) -> Database:
    return resources.database


async def _catalogue(resources: ResourcesDep) -> ModelCatalogue:
    return resources.catalogue


async def _run_commands(request: Request) -> RunCommands:
    commands: RunCommands = request.app.state.run_commands
    return commands


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


async def _held_polls(request: Request) -> HeldPolls:
    polls: HeldPolls = request.app.state.held_polls
    return polls


async def _run_timelines(request: Request) -> RunTimelines:
    timelines: RunTimelines = request.app.state.run_timelines
    return timelines


async def _project(
    request: Request,
    resources: ResourcesDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> str:
    """The project that the caller's key names. Raises `Unauthenticated`."""
    keys = resources.settings.api_keys
    project = _project_of(keys, bearer.credentials if bearer else _password(request)) if keys else DEFAULT_PROJECT
    request.state.project = project
    return project


def _password(request: Request) -> str:
    """The other place in which OpenAI takes a key, and its guide's curl commands write it: `-u :$OPENAI_API_KEY`."""
    scheme, encoded = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(encoded).decode().partition(":")[2]
    except ValueError:
        return ""


def _project_of(keys: Mapping[str, str], given: str) -> str:
    if not given:
        raise Unauthenticated.without_key()
    for key, project in keys.items():
        if hmac.compare_digest(key.encode(), given.encode()):
            return project
    raise Unauthenticated.with_key(given)


ProjectDep = Annotated[str, Depends(_project)]


async def _assistants_beta(request: Request, resources: ResourcesDep, _: ProjectDep) -> BetaVersion:
    """Raises `InvalidRequest` for a version that is unknown, or missing where the settings want it."""
    return beta_version(request, resources.settings.require_beta_header)


# Empty for programs that always write it: the first page.
Cursor = Annotated[AnyId | None, BeforeValidator(lambda given: given or None)]


async def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    order: Order = Order.DESC,
    after: Cursor = None,
    before: Cursor = None,
) -> PageRequest:
    return PageRequest(limit, order, after, before)


async def _once(
    request: Request,
    database: Annotated[Database, Depends(_database)],
    project: ProjectDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=MAX_IDEMPOTENCY_KEY_LENGTH)] = None,
) -> Once:
    fingerprint = "" if idempotency_key is None else await fingerprint_of(request)
    return Once(database, project, idempotency_key, fingerprint)


CatalogueDep = Annotated[ModelCatalogue, Depends(_catalogue)]
DatabaseDep = Annotated[Database, Depends(_database)]
HeldPollsDep = Annotated[HeldPolls, Depends(_held_polls)]
RunCommandsDep = Annotated[RunCommands, Depends(_run_commands)]
StreamsDep = Annotated[Streams, Depends(_streams)]
RunTimelinesDep = Annotated[RunTimelines, Depends(_run_timelines)]
OnceDep = Annotated[Once, Depends(_once)]
PageDep = Annotated[PageRequest, Depends(_page)]
AssistantsBeta = Depends(_assistants_beta)
BetaDep = Annotated[BetaVersion, Depends(_assistants_beta)]
