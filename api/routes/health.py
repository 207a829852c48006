"""`/health`: whether this process can do its work."""

import asyncio

from fastapi import APIRouter, Response
from pydantic import BaseModel
from temporalio.service import RPCError

from api.dependencies import ResourcesDep
from infra.database.outages import DatabaseUnavailable
from infra.temporal import HEALTH_TIMEOUT, check_temporal

router = APIRouter(tags=["Health"])

OK = "ok"


class Health(BaseModel):
    """`ok`, or the reason why not, for each part."""

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
    asking = asyncio.create_task(resources.database.check())
    asking.add_done_callback(_retrieved)
    # No `asyncio.timeout`: of a database that hangs, the driver takes its time to be cancelled as well.
    await asyncio.wait({asking}, timeout=HEALTH_TIMEOUT.total_seconds())
    if not asking.done():
        asking.cancel()
        return f"does not answer: nothing within {HEALTH_TIMEOUT.seconds} s"
    try:
        await asking
    except DatabaseUnavailable as error:
        return f"does not answer: {error.reason}"
    return OK


def _retrieved(asking: asyncio.Task[None]) -> None:
    """So that nobody is told of what came too late."""
    if not asking.cancelled():
        asking.exception()


async def _temporal(resources: ResourcesDep) -> str:
    try:
        await check_temporal(resources.temporal)
    except (RPCError, TimeoutError) as error:
        return f"does not answer: {error!r}"
    return OK
