"""Outages of the database, the object store and the vector index: Temporal retries any activity that meets one."""

import logging
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import passing_failure
from infra.database.outages import DatabaseUnavailable
from infra.object_store.errors import ObjectStoreUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from models.runs import LastErrorCode

RETRY_DELAY = timedelta(seconds=1)
"""No backoff: an activity is to notice within a second that it is answered again."""

log = logging.getLogger(__name__)


class Outages(Interceptor):
    """Converts outages into failures that Temporal retries, and that name no host and no statement."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Retried(next)


class _Retried(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except DatabaseUnavailable as error:
            log.warning("activity.database_unavailable", extra=_facts(error.reason))
            raise passing_failure(LastErrorCode.SERVER_ERROR, error, RETRY_DELAY) from None
        except ObjectStoreUnavailable as error:
            log.warning("activity.object_store_unavailable", extra=_facts(error.reason))
            raise passing_failure(LastErrorCode.SERVER_ERROR, error, RETRY_DELAY) from None
        except VectorIndexUnavailable as error:
            log.warning("activity.vector_index_unavailable", extra=_facts(error.reason))
            raise passing_failure(LastErrorCode.SERVER_ERROR, error, RETRY_DELAY) from None


def _facts(reason: str) -> dict[str, str]:
    return {"activity": activity.info().activity_type, "reason": reason}
