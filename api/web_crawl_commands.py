"""What collects pages of the web, and forgets them. Each change is committed first, then workflows and index follow."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from api.idempotency import Idempotency
from infra.database import web_collections, web_crawls
from infra.database.engine import Database
from infra.embeddings.embedders import Embedders
from infra.ingest_workflows import leave_to_reconciler
from infra.ports import VectorIndex
from infra.vector_index.errors import VectorIndexUnavailable
from infra.web.crawl_workflows import CrawlWorkflows
from models.errors import InvalidRequest, NotFound
from models.search_index import IndexedStore
from models.web_crawls import COLLECTION, CrawlAnswer, CrawlInput, CrawlRequest, CrawlStatus, WebCrawl

POLL_INTERVAL = timedelta(milliseconds=250)
BEGUN = "Crawling has begun."
COMPLETED = "Crawling completed successfully."
DELETED = f"Collection '{COLLECTION}' deleted successfully."
MISSING = f"Collection '{COLLECTION}' does not exist."
FORGOTTEN = f"Collection '{COLLECTION}' was deleted while it was crawled."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WebCrawlCommands:
    database: Database
    workflows: CrawlWorkflows
    vector_index: VectorIndex
    embedders: Embedders
    max_pages: int

    async def crawl(self, idempotency: Idempotency, project_id: str, body: CrawlRequest) -> CrawlAnswer:
        """Begin a crawl and, unless it is to run in the background, return when it has ended.

        Raises what `web_crawls.create` raises, and `InvalidRequest` for a crawl that is forgotten meanwhile.
        """
        embedder = self.embedders.for_new_stores
        model, dimensions = (embedder.model, embedder.dimensions) if embedder else (None, 0)

        def create(connection: Connection) -> WebCrawl:
            return web_crawls.create(connection, project_id, body, model, dimensions, self.max_pages)

        crawl = await idempotency.run(WebCrawl, create)
        command = CrawlInput(crawl.id)
        # Again for a repeat: to start what was started does nothing.
        await leave_to_reconciler("crawl", command.workflow_id, self.workflows.start(command))
        if body.background:
            return CrawlAnswer(message=BEGUN, crawl_infos=[], crawl_id=crawl.id, status=crawl.status)
        return await self._ended(project_id, crawl.id)

    async def forget(self, project_id: str) -> str:
        """Delete the project's collection with its crawls. Returns what became of it, in words."""
        store = await self.database.write(_forget, project_id)
        if store is None:
            return MISSING
        try:
            await self.vector_index.drop(store)
        except VectorIndexUnavailable as error:
            log.warning("index.delete_delayed", extra={"store_id": store.id, "reason": error.reason})
        return DELETED

    async def _ended(self, project_id: str, crawl_id: str) -> CrawlAnswer:
        while True:
            crawl = await self._load(project_id, crawl_id)
            if crawl.status is not CrawlStatus.IN_PROGRESS:
                break
            await asyncio.sleep(POLL_INTERVAL.total_seconds())
        infos = await self.database.read(web_crawls.infos, crawl_id)
        message = COMPLETED if crawl.status is CrawlStatus.COMPLETED else f"Crawling failed: {crawl.error}"
        return CrawlAnswer(message=message, crawl_infos=infos, crawl_id=crawl_id, status=crawl.status)

    async def _load(self, project_id: str, crawl_id: str) -> WebCrawl:
        try:
            return await self.database.read(web_crawls.load, project_id, crawl_id)
        except NotFound:
            raise InvalidRequest(FORGOTTEN, code="collection_deleted") from None


def _forget(connection: Connection, project_id: str) -> IndexedStore | None:
    web_crawls.forget(connection, project_id)
    return web_collections.forget(connection, project_id)
