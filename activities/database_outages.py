"""What becomes of an activity that meets a database which does not answer: it is tried again, whichever it is."""

import logging
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import passing_failure
from infra.database.outages import DatabaseUnavailable
from models.runs import LastErrorCode

RETRY_DELAY = timedelta(seconds=1)
"""No backoff: that the database is back should be noticed within a second."""

log = logging.getLogger(__name__)


class DatabaseOutages(Interceptor):
    """Turns `DatabaseUnavailable` into a failure that Temporal retries, and that names no host and no statement."""

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
