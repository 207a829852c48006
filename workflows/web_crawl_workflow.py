"""A crawl: one activity, which reads URL by URL, and an end whatever becomes of it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.web_crawl import WebCrawl, WebCrawlEnds
from models.web_crawls import WEB_CRAWL_WORKFLOW, CrawlEnd, CrawlInput, CrawlStatus
from workflows import activity_options

CRAWL_FAILED = "CrawlFailed"
CANCELLED = "The crawl's workflow was cancelled."
TOOK_TOO_LONG = "The crawl did not end in time."


@workflow.defn(name=WEB_CRAWL_WORKFLOW)
class WebCrawlWorkflow:
    """The row in the database says how the crawl stands. Ends Failed where the crawl failed."""

    @workflow.run
    async def run(self, crawl: CrawlInput) -> CrawlStatus:
        try:
            status = await self._crawl(crawl)
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancelled_exception(error):
                await self._end(CrawlEnd(crawl.crawl_id, CrawlStatus.FAILED, CANCELLED))
                raise
            status = await self._end(CrawlEnd(crawl.crawl_id, CrawlStatus.FAILED, TOOK_TOO_LONG))
        if status is CrawlStatus.FAILED:
            raise ApplicationError(f"{crawl.crawl_id} failed: see its error.", type=CRAWL_FAILED)
        return status

    async def _crawl(self, crawl: CrawlInput) -> CrawlStatus:
        return await workflow.execute_activity_method(
            WebCrawl.crawl,
            crawl,
            start_to_close_timeout=activity_options.CRAWL_DEADLINE,
            schedule_to_close_timeout=activity_options.CRAWL_DEADLINE,
            heartbeat_timeout=activity_options.HEARTBEAT_TIMEOUT,
            retry_policy=activity_options.MODEL_RETRIES,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=crawl.crawl_id,
        )

    async def _end(self, ended: CrawlEnd) -> CrawlStatus:
        ending = workflow.start_activity_method(
            WebCrawlEnds.end,
            ended,
            task_queue=activity_options.control_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.DATABASE_TIMEOUT,
            retry_policy=activity_options.DATABASE_RETRIES,
            summary=f"end · {ended.status}",
        )
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            return await ending
