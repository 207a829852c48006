"""Records the reason of a reset in Temporal: its UI has no user names, only the reason that the user entered."""

import asyncio
import logging
from datetime import timedelta

from temporalio import activity
from temporalio.service import RPCError

from infra.database import run_retries
from infra.database.engine import Database
from infra.run_workflows import RunWorkflows

BY_RESET = "reset in Temporal"
LOOKUP_TIMEOUT = timedelta(seconds=3)

log = logging.getLogger(__name__)


class ResetReasons:
    def __init__(self, database: Database, workflows: RunWorkflows) -> None:
        self._database = database
        self._workflows = workflows

    async def record(self, run_id: str, number: int) -> None:
        """Complete the record of the run's newest retry, `number`, if that was a reset in Temporal."""
        if number == 0:
            return
        if not await self._database.read(run_retries.is_unexplained, run_id, number):
            return
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT.total_seconds()):
                reason = await self._workflows.reset_reason(run_id, activity.info().workflow_run_id or "")
        except (RPCError, TimeoutError) as error:
            # The run does not wait for the reason; its next turn asks again.
            log.warning("run.reset_reason_unknown", extra={"run_id": run_id, "reason": repr(error)})
            return
        explained = f"{BY_RESET}: {reason}" if reason else BY_RESET
        await self._database.write(run_retries.explain, run_id, number, explained)
