"""`/metrics`: what Prometheus reads of this process, and how the runs of all processes stand."""

from collections.abc import Iterable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import ProjectDep, ResourcesDep
from infra.background import in_time
from infra.database import run_standings
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.database.run_standings import RunStandings
from infra.temporal import HEALTH_TIMEOUT

router = APIRouter(tags=["Health"])


@router.get("/metrics", operation_id="getMetrics", include_in_schema=False)
async def metrics(resources: ResourcesDep, _: ProjectDep) -> Response:
    """Needs a key where keys are configured: how much of which model is used is not everybody's to know."""
    standing = CollectorRegistry()
    standing.register(_Standing(await _standings(resources.database)))
    content = generate_latest(resources.metrics.registry) + generate_latest(standing)
    return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _standings(database: Database) -> RunStandings | None:
    """None where the database does not answer: the other metrics are the more needed then."""
    try:
        return await in_time(_load(database), HEALTH_TIMEOUT)
    except (DatabaseUnavailable, SQLAlchemyError, OSError, TimeoutError):
        return None


async def _load(database: Database) -> RunStandings:
    async with database.reading() as session:
        return await run_standings.load(session)


class _Standing(Collector):
    def __init__(self, standings: RunStandings | None) -> None:
        self._standings = standings

    def collect(self) -> Iterable[Metric]:
        answers = int(self._standings is not None)
        yield GaugeMetricFamily("holdfast_database_up", "Whether the database answers.", answers)
        if self._standings is None:
            return
        active = GaugeMetricFamily("holdfast_runs_active", "Runs under way, by status.", labels=["status"])
        for status, count in self._standings.active.items():
            active.add_metric([status], count)
        yield active
        yield GaugeMetricFamily(
            "holdfast_oldest_command_seconds",
            "How long the longest-waiting run has waited for a worker to take it up, or to end it when cancelled.",
            self._standings.oldest_command_seconds,
        )
