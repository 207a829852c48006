"""Repairs what lost commands and ended workflows left undone: no crawl stays in progress."""

import logging
from datetime import timedelta

from temporalio.service import RPCError

from infra.database import web_crawls
from infra.database.engine import Database
from infra.web.crawl_workflows import CrawlWorkflows
from models.web_crawls import CrawlEnd, CrawlInput, CrawlStatus

PAGE_SIZE = 100
LOOK_AGAIN_AFTER = timedelta(minutes=1)
LOST_WORKFLOW = "The crawl's workflow was ended from outside."

log = logging.getLogger(__name__)


class CrawlReconciler:
    """A part of each sweep, beside that of ingestions."""

    def __init__(self, database: Database, workflows: CrawlWorkflows) -> None:
        self._database = database
        self._workflows = workflows

    async def reconcile(self) -> None:
        """Start crawls whose workflow was lost, and fail those whose workflow is gone for good."""
        later = LOOK_AGAIN_AFTER // timedelta(milliseconds=1)
        for row in await self._database.write(web_crawls.take_due, PAGE_SIZE, later):
            try:
                is_at_work = await self._workflows.start(CrawlInput(row.id))
            except RPCError as error:
                # The next look is in a minute.
                log.warning("web_crawl.command_refused", extra={"crawl_id": row.id, "reason": error.message})
                continue
            if not is_at_work:
                # Its own commit may have come meanwhile: then this one changes nothing.
                await self._database.write(web_crawls.end, CrawlEnd(row.id, CrawlStatus.FAILED, LOST_WORKFLOW))
