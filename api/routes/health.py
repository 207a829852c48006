"""`/health`: whether this process can work."""

import asyncio
import logging

from fastapi import APIRouter, Response
from pydantic import BaseModel
from temporalio.service import RPCError

from api.dependencies import ResourcesDep
from infra.background import in_time
from infra.database.outages import DatabaseUnavailable
from infra.temporal import HEALTH_TIMEOUT, check_temporal

router = APIRouter(tags=["Health"])

OK = "ok"
SEE_LOG = "the log says why"
log = logging.getLogger(__name__)


class Health(BaseModel):
    """`ok` or the reason of a failure, for each part."""

    database: str
    temporal: str


@router.get("/health", operation_id="getHealth", responses={503: {"model": Health}})
async def health(resources: ResourcesDep, response: Response) -> Health:
    """200 when the database and Temporal answer, 503 with the reason otherwise."""
    database, temporal = await asyncio.gather(_database(resources), _temporal(resources))
    if (database, temporal) != (OK, OK):
        response.status_code = 503
    return Health(database=database, temporal=temporal)


async def _database(resources: ResourcesDep) -> str:
    try:
        await in_time(resources.database.check(), HEALTH_TIMEOUT)
    except DatabaseUnavailable as error:
        # The route needs no key, and the reason has names of hosts and users.
        log.warning("health.database_unavailable", extra={"reason": error.reason})
        return f"does not answer: {SEE_LOG}"
    except TimeoutError as error:
        return f"does not answer: {error}"
    return OK


async def _temporal(resources: ResourcesDep) -> str:
    try:
        await check_temporal(resources.temporal)
    except TimeoutError:
        return f"does not answer: nothing within {HEALTH_TIMEOUT.total_seconds():g} s"
    except RPCError as error:
        log.warning("health.temporal_unavailable", extra={"reason": str(error)})
        return f"does not answer: {SEE_LOG}"
    return OK
