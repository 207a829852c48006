"""`/metrics`: Prometheus metrics of this process, and counts of the active runs of all processes."""

from collections.abc import Iterable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import Operator, ResourcesDep
from infra.background import in_time
from infra.database import active_runs
from infra.database.active_runs import ActiveRuns
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.temporal import HEALTH_TIMEOUT

router = APIRouter(tags=["Health"])


@router.get("/metrics", operation_id="getMetrics", include_in_schema=False, dependencies=[Operator])
async def metrics(resources: ResourcesDep) -> Response:
    """Needs an operator's key where keys are configured: the metrics include the models and tokens of all projects."""
    gauges = CollectorRegistry()
    gauges.register(_ActiveRunGauges(await _active_runs(resources.database)))
    content = generate_latest(resources.metrics.registry) + generate_latest(gauges)
    return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _active_runs(database: Database) -> ActiveRuns | None:
    """None where the database does not answer: the other metrics are needed most then."""
    try:
        return await in_time(database.read(active_runs.load), HEALTH_TIMEOUT)
    except (DatabaseUnavailable, SQLAlchemyError, OSError, TimeoutError):
        return None


class _ActiveRunGauges(Collector):
    def __init__(self, active_runs: ActiveRuns | None) -> None:
        self._active_runs = active_runs

    def collect(self) -> Iterable[Metric]:
        answers = int(self._active_runs is not None)
        yield GaugeMetricFamily("holdfast_database_up", "Whether the database answers.", answers)
        if self._active_runs is None:
            return
        active = GaugeMetricFamily("holdfast_runs_active", "Runs under way, by status.", labels=["status"])
        for status, count in self._active_runs.active.items():
            active.add_metric([status], count)
        yield active
        yield GaugeMetricFamily(
            "holdfast_oldest_command_seconds",
            "How long the longest-waiting run has waited for a worker to take it up, or to end it when cancelled.",
            self._active_runs.oldest_command_seconds,
        )
