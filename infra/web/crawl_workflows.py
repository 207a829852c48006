"""The command to the workflow of a crawl. It is idempotent: repeating it does nothing."""

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from infra.settings import Settings
from models.web_crawls import WEB_CRAWL_WORKFLOW, CrawlInput


class CrawlWorkflows:
    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._task_queue = settings.task_queue

    async def start(self, crawl: CrawlInput) -> bool:
        """Start a crawl. False where its workflow has ended before: it is never started twice."""
        try:
            await self._client.start_workflow(
                WEB_CRAWL_WORKFLOW,
                crawl,
                id=crawl.workflow_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=crawl.crawl_id,
            )
        except WorkflowAlreadyStartedError:
            description = await self._client.get_workflow_handle(crawl.workflow_id).describe()
            return description.status is WorkflowExecutionStatus.RUNNING
        return True
