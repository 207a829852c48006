"""What routes ask for: the open resources, the caller's project, and a list's page."""

import hmac
from typing import Annotated

from fastapi import Depends, Query, Request

from api.run_commands import RunCommands
from infra.database.engine import Database
from infra.language_model.catalogue import ModelCatalogue
from infra.resources import Resources
from models.errors import Unauthenticated
from models.lists import DEFAULT_LIMIT, MAX_LIMIT, Order, PageRequest

DEFAULT_PROJECT = "default"


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


def _database(request: Request) -> Database:
    return _resources(request).database


def _catalogue(request: Request) -> ModelCatalogue:
    return _resources(request).catalogue


def _run_commands(request: Request) -> RunCommands:
    commands: RunCommands = request.app.state.run_commands
    return commands


def _project(request: Request) -> str:
    """The project that the caller's key names. Raises `Unauthenticated`."""
    keys = _resources(request).settings.api_keys
    if not keys:
        return DEFAULT_PROJECT
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Unauthenticated.without_key()
    for key, project in keys.items():
        if hmac.compare_digest(key.encode(), given.encode()):
            return project
    raise Unauthenticated.with_key(given)


def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    order: Order = Order.DESC,
    after: str | None = None,
    before: str | None = None,
) -> PageRequest:
    return PageRequest(limit, order, after, before)


ResourcesDep = Annotated[Resources, Depends(_resources)]
CatalogueDep = Annotated[ModelCatalogue, Depends(_catalogue)]
DatabaseDep = Annotated[Database, Depends(_database)]
RunCommandsDep = Annotated[RunCommands, Depends(_run_commands)]
ProjectDep = Annotated[str, Depends(_project)]
PageDep = Annotated[PageRequest, Depends(_page)]
