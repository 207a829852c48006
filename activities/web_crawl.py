"""Collects pages of the web for a project: URL by URL, each with one commit that says so."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity

from activities.crawl_bytes import TOO_MANY_BYTES, CrawlBytes
from activities.crawl_pace import CrawlPace
from activities.failures import WorkerStopped, passing_failure
from activities.heartbeat import heartbeating
from infra.background import together
from infra.clock import now_ms, now_seconds
from infra.database import web_collections, web_crawls
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.database.web_crawls import CrawledPage
from infra.documents.errors import DocumentUnreadable
from infra.embeddings.errors import EmbeddingFailed
from infra.web.access import WebAccess
from infra.web.collection import WebCollectionSearch
from infra.web.errors import PageNotRead, PageRefused
from infra.web.fetching import FetchedPage
from infra.web.page_reading import NO_TEXT
from infra.web.robots import Robots
from infra.web.urls import canonical
from models.answers import storable
from models.documents import FileErrorCode
from models.search_index import IndexedFile
from models.web_crawls import CrawlEnd, CrawlInput, CrawlStatus
from models.web_domains import host_of
from models.web_pages import ReadPage

PAGES_AT_A_TIME = 16
TIME_IS_OVER = "It was not read: the time of the crawl was over."
ELSEWHERE = "The page leads away from the crawl's domains."
NOTHING_READ = "None of the root pages could be read."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrawlLimits:
    """Of one crawl."""

    pages: int
    bytes: int
    time: timedelta


class WebCrawl:
    def __init__(
        self,
        database: Database,
        collection: WebCollectionSearch,
        web: WebAccess,
        limits: CrawlLimits,
    ) -> None:
        self._database = database
        self._collection = collection
        self._web = web
        self._robots = Robots(web.fetcher)
        self._limits = limits

    @activity.defn(name="WebCrawl.crawl")
    async def crawl(self, crawl: CrawlInput) -> CrawlStatus:
        """Read what is left of a crawl. Returns the status that it ends in; one that was forgotten has failed.

        A new attempt goes on behind the URLs that were read. Raises retryable `ApplicationError`s, and outages.
        """
        pace = CrawlPace(self._robots)
        async with heartbeating():
            try:
                while (row := await self._database.read(web_crawls.find_active, crawl.crawl_id)) is not None:
                    urls = await self._next(row)
                    if not urls:
                        return await self._end(row)
                    await self._take_in_time(row, urls, pace)
                return CrawlStatus.FAILED
            except EmbeddingFailed as error:
                if error.is_retryable:
                    raise passing_failure(FileErrorCode.SERVER_ERROR, error, error.retry_after) from None
                await self._database.write(web_crawls.end, CrawlEnd(crawl.crawl_id, CrawlStatus.FAILED, str(error)))
                return CrawlStatus.FAILED
            except asyncio.CancelledError:
                details = activity.cancellation_details()
                if details and details.worker_shutdown:
                    raise WorkerStopped from None
                raise

    async def _next(self, crawl: AnyRow) -> Sequence[AnyRow]:
        """The URLs to read next: none once a limit is reached."""
        if now_seconds() >= crawl.created_at + self._limits.time.total_seconds():
            await self._database.write(web_crawls.give_up, crawl.id, TIME_IS_OVER)
        elif crawl.bytes >= self._limits.bytes:
            await self._database.write(web_crawls.give_up, crawl.id, TOO_MANY_BYTES)
        return await self._database.read(web_crawls.pending, crawl.id, PAGES_AT_A_TIME)

    async def _end(self, crawl: AnyRow) -> CrawlStatus:
        infos = await self._database.read(web_crawls.infos, crawl.id)
        is_read = any(info.error is None for info in infos)
        status = CrawlStatus.COMPLETED if is_read else CrawlStatus.FAILED
        ended = CrawlEnd(crawl.id, status, None if is_read else NOTHING_READ)
        await self._database.write(web_crawls.end, ended)
        log.info("web_crawl.ended", extra={"crawl_id": crawl.id, "status": status.value, "urls": crawl.urls})
        return status

    async def _take_in_time(self, crawl: AnyRow, urls: Sequence[AnyRow], pace: CrawlPace) -> None:
        """Take what the time that is left is enough for; the next look at the time gives up the rest."""
        left = crawl.created_at + self._limits.time.total_seconds() - now_seconds()
        try:
            async with asyncio.timeout(left) as time:
                await self._take(crawl, urls, pace)
        except TimeoutError:
            if not time.expired():
                raise

    async def _take(self, crawl: AnyRow, urls: Sequence[AnyRow], pace: CrawlPace) -> None:
        """Fetch some URLs together, then read and index those of each site."""
        budget = CrawlBytes(self._limits.bytes - crawl.bytes)
        fetched: dict[str, FetchedPage] = {}

        async def fetch(url: AnyRow) -> None:
            page = await self._fetch(crawl, url, pace, budget)
            if page is not None:
                fetched[url.page_id] = page

        try:
            await together(*(fetch(url) for url in urls))
        finally:
            await self._database.write(web_crawls.count_fetched, crawl.id, budget.taken)
        sites: dict[str, list[tuple[AnyRow, FetchedPage]]] = {}
        for url in urls:
            if (page := fetched.get(url.page_id)) is not None:
                sites.setdefault(host_of(page.url), []).append((url, page))
        for pages in sites.values():
            read = await self._web.reader.read_pages([page for _, page in pages])
            for (url, page), text in zip(pages, read, strict=True):
                await self._keep(crawl, url, page, text)

    async def _fetch(self, crawl: AnyRow, url: AnyRow, pace: CrawlPace, budget: CrawlBytes) -> FetchedPage | None:
        async def check(target: str) -> None:
            if crawl.constrain_to_root_domain and not _is_of_roots(target, crawl.root_urls):
                raise PageRefused(ELSEWHERE)
            await self._robots.check(target, budget.take)

        try:
            await check(url.url)
            await pace.wait_for(url.url, budget.take)
            return await self._web.fetcher.fetch(url.url, check, budget.take)
        except PageNotRead as error:
            await self._database.write(web_crawls.fail_url, url, str(error))
            return None

    async def _keep(self, crawl: AnyRow, url: AnyRow, page: FetchedPage, read: ReadPage | None) -> None:
        if read is None:
            await self._database.write(web_crawls.fail_url, url, NO_TEXT)
            return
        collection = await self._database.read(web_collections.find, crawl.project_id)
        if collection is None or collection.store_id != crawl.store_id:
            return
        store, generation = web_collections.indexed(collection), now_ms()
        address = canonical(page.url) or url.url
        file = IndexedFile(web_crawls.page_id_of(address), generation)
        try:
            count = await self._collection.add(crawl.project_id, store, file, storable(read.text))
        except DocumentUnreadable as error:
            await self._database.write(web_crawls.fail_url, url, str(error))
            return
        if count is None:
            return
        row = _row(file.id, address, url.depth, generation, count) | {"title": storable(read.title) or address}
        crawled = CrawledPage(row, self._to_follow(crawl, read))
        if await self._database.write(web_crawls.store_page, url, crawled, self._limits.pages):
            await self._collection.vector_index.delete_file(store, file.id, generation)
        else:
            await self._collection.vector_index.delete_generation(store, file)

    def _to_follow(self, crawl: AnyRow, read: ReadPage) -> Sequence[str]:
        links = [link for each in read.links if (link := canonical(each)) is not None]
        if crawl.constrain_to_root_domain:
            links = [link for link in links if _is_of_roots(link, crawl.root_urls)]
        return list(dict.fromkeys(links))


class WebCrawlEnds:
    """The end of a crawl whose activity did not come to one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="WebCrawlEnds.end")
    async def end(self, ended: CrawlEnd) -> CrawlStatus:
        """End it unless it has ended already."""
        await self._database.write(web_crawls.end, ended)
        return ended.status


def _is_of_roots(url: str, roots: Sequence[str]) -> bool:
    host = host_of(url).removeprefix("www.")
    return any(host == host_of(root).removeprefix("www.") for root in roots)


def _row(page_id: str, url: str, depth: int, generation: int, chunks: int) -> dict[str, Any]:
    return {
        "id": page_id,
        "url": url,
        "host": host_of(url),
        "depth": depth,
        "generation": generation,
        "chunks": chunks,
    }
