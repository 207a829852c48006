"""Database outages in activities: Temporal retries any activity that meets one."""

import logging
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import passing_failure
from infra.database.outages import DatabaseUnavailable
from models.runs import LastErrorCode

RETRY_DELAY = timedelta(seconds=1)
"""No backoff: an activity is to notice within a second that the database answers again."""

log = logging.getLogger(__name__)


class DatabaseOutages(Interceptor):
    """Converts `DatabaseUnavailable` into a failure that Temporal retries, and that names no host and no statement."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Retried(next)


class _Retried(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except DatabaseUnavailable as error:
            facts = {"activity": activity.info().activity_type, "reason": error.reason}
            log.warning("activity.database_unavailable", extra=facts)
            raise passing_failure(LastErrorCode.SERVER_ERROR, error, RETRY_DELAY) from None
