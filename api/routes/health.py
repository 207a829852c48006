"""`/health`: whether this process can work."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from temporalio.service import RPCError

from api.dependencies import ResourcesDep
from infra.background import in_time
from infra.database.outages import DatabaseUnavailable
from infra.object_store.errors import ObjectStoreUnavailable
from infra.ports import CodeSandbox
from infra.sandbox.errors import SandboxUnavailable
from infra.temporal import HEALTH_TIMEOUT, check_temporal
from infra.vector_index.errors import VectorIndexUnavailable

router = APIRouter(tags=["Health"])

OK = "ok"
PARTS = ("database", "temporal", "object_store", "vector_index")
NONE = "none: code_interpreter is refused"
SEE_LOG = "the log says why"
log = logging.getLogger(__name__)


class Health(BaseModel):
    """`ok` or the reason of a failure, for each part. `sandbox` also says what keeps the code in its box."""

    database: str
    temporal: str
    object_store: str
    vector_index: str
    sandbox: str


@router.get("/health", operation_id="getHealth", responses={503: {"model": Health}})
async def health(resources: ResourcesDep, response: Response) -> Health:
    """200 when the database, Temporal, the object store and the vector index answer, 503 with the reason otherwise.

    The sandbox does not count: without it, all but the code interpreter works.
    """
    sandbox, *parts = await asyncio.gather(
        _sandbox(resources.code_sandbox),
        _checked("database", resources.database.check()),
        _temporal(resources),
        _checked("object_store", resources.object_store.check()),
        _checked("vector_index", resources.vector_index.check()),
    )
    if any(part != OK for part in parts):
        response.status_code = 503
    return Health(**dict(zip(PARTS, parts, strict=True)), sandbox=sandbox)


async def _checked(part: str, check: Coroutine[Any, Any, None]) -> str:
    try:
        await in_time(check, HEALTH_TIMEOUT)
    except (DatabaseUnavailable, ObjectStoreUnavailable, VectorIndexUnavailable) as error:
        return _unavailable(part, error.reason)
    except TimeoutError as error:
        return f"does not answer: {error}"
    return OK


async def _temporal(resources: ResourcesDep) -> str:
    try:
        await check_temporal(resources.temporal)
    except TimeoutError:
        return f"does not answer: nothing within {HEALTH_TIMEOUT.total_seconds():g} s"
    except RPCError as error:
        return _unavailable("temporal", str(error))
    return OK


async def _sandbox(sandbox: CodeSandbox | None) -> str:
    if sandbox is None:
        return NONE
    try:
        health = await in_time(sandbox.health(), HEALTH_TIMEOUT)
    except SandboxUnavailable as error:
        return _unavailable("sandbox", str(error))
    except TimeoutError as error:
        return f"does not answer: {error}"
    if health.isolation is None:
        return f"refused: {health.refusal}"
    return f"{OK}: {health.isolation}, packages {' '.join([health.packages, health.packages_note]).strip()}"


def _unavailable(part: str, reason: str) -> str:
    # The route needs no key, and the reason has names of hosts and users.
    log.warning(f"health.{part}_unavailable", extra={"reason": reason})
    return f"does not answer: {SEE_LOG}"
