"""The bounds of a crawl, over a real site: what is left when one is reached is said, page by page."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.crawl_bytes import TOO_MANY_BYTES
from activities.web_crawl import ELSEWHERE, TIME_IS_OVER, CrawlLimits, WebCrawl
from infra.database import web_collections, web_crawls
from infra.database.outages import DatabaseUnavailable
from infra.ports import VectorIndex
from infra.vector_index.errors import VectorIndexUnavailable
from infra.web.access import WebAccess
from infra.web.collection import WebCollectionSearch
from infra.web.fetching import FetchedPage, PageFetcher, open_fetcher
from infra.web.network import CheckedNetwork
from infra.web.page_reading import NO_TEXT, PageReader
from models.search_index import IndexedFile
from models.web_crawls import CrawlInfo, CrawlInput, CrawlRequest, CrawlStatus
from models.web_hosts import PrivateHosts
from tests.holdfast import RunningHoldfast
from tests.web_site import ROBOTS, SEARCHED, WebSite, running_web_site

pytestmark = pytest.mark.any_database
NO_LIMITS = CrawlLimits(1_000, 10**9, timedelta(hours=1))


@pytest.fixture
def site() -> Iterator[WebSite]:
    with running_web_site() as running:
        yield running


@pytest.fixture
async def fetcher(site: WebSite) -> AsyncIterator[PageFetcher]:
    async with open_fetcher(CheckedNetwork(PrivateHosts.parse([site.host]))) as opened:
        yield opened


class Crawler:
    """Crawls for a project of its own."""

    def __init__(self, holdfast: RunningHoldfast, fetcher: PageFetcher) -> None:
        resources = holdfast.resources
        self.database = resources.database
        self.collection = WebCollectionSearch(resources.database, resources.embedders, resources.vector_index)
        self.project_id = uuid4().hex
        self.fetcher = fetcher

    async def crawl(
        self, url: str, depth: int, limits: CrawlLimits = NO_LIMITS, is_constrained: bool = True
    ) -> tuple[CrawlStatus, list[CrawlInfo]]:
        body = CrawlRequest(root_urls=[url], max_depth=depth, constrain_to_root_domain=is_constrained)
        created = await self.database.write(web_crawls.create, self.project_id, body, None, 0)
        activity = WebCrawl(self.database, self.collection, WebAccess(self.fetcher, PageReader(2), None), limits)
        status = await ActivityEnvironment().run(activity.crawl, CrawlInput(created.id))
        assert await ActivityEnvironment().run(activity.crawl, CrawlInput(created.id)) is CrawlStatus.FAILED
        return status, await self.database.read(web_crawls.infos, created.id)


@pytest.fixture
def crawler(holdfast: RunningHoldfast, fetcher: PageFetcher) -> Crawler:
    return Crawler(holdfast, fetcher)


async def test_crawl_whose_time_is_over_reads_nothing(crawler: Crawler, site: WebSite) -> None:
    status, infos = await crawler.crawl(site.url, 1, CrawlLimits(1_000, 10**9, timedelta()))

    assert (status, [info.error for info in infos], site.visits) == (CrawlStatus.FAILED, [TIME_IS_OVER], [])


async def test_time_of_the_crawl_ends_in_the_midst_of_pages(crawler: Crawler, site: WebSite) -> None:
    site.may_answer.clear()

    async with asyncio.timeout(15):
        _, infos = await crawler.crawl(f"{site.url}/slow/1", 1, CrawlLimits(1_000, 10**9, timedelta(seconds=2)))

    assert [info.error for info in infos] == [TIME_IS_OVER]


async def test_failure_of_one_page_ends_the_others(
    crawler: Crawler, site: WebSite, fetcher: PageFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    async def fetch(url: str, *about: Any, **options: Any) -> FetchedPage:
        if url.endswith("/page/1"):
            raise DatabaseUnavailable("gone")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    class FromHere:
        async def fetch(self, url: str, *about: Any, **options: Any) -> FetchedPage:
            is_page = urlsplit(url).path.startswith("/page/")
            return await (fetch if is_page else fetcher.fetch)(url, *about, **options)

    crawler.fetcher = cast(PageFetcher, FromHere())
    with pytest.raises(DatabaseUnavailable):
        await crawler.crawl(site.url, 1)

    assert ended.is_set()


async def test_crawl_that_has_fetched_enough_keeps_what_it_has(crawler: Crawler, site: WebSite) -> None:
    size = len(ROBOTS) + len(site.page("/slow/1")[2])
    status, infos = await crawler.crawl(f"{site.url}/slow/1", 1, CrawlLimits(1_000, size, timedelta(hours=1)))

    assert status is CrawlStatus.COMPLETED
    assert [info.error for info in infos] == [None, TOO_MANY_BYTES]
    assert site.visits == ["/robots.txt", "/slow/1"]


@pytest.mark.parametrize(("path", "error"), [("/endless", TOO_MANY_BYTES), ("/empty", NO_TEXT)])
async def test_bytes_of_pages_that_are_not_read_count_as_well(
    crawler: Crawler, site: WebSite, path: str, error: str
) -> None:
    _, infos = await crawler.crawl(site.url + path, 0, CrawlLimits(1_000, 50_000, timedelta(hours=1)))

    [crawl] = await crawler.database.read(web_crawls.newest, crawler.project_id, 1)
    assert [info.error for info in infos] == [error]
    assert 0 < crawl.bytes < 200_000
    assert (crawl.bytes > 50_000) == (error == TOO_MANY_BYTES)


@pytest.mark.parametrize("robots", [f"# {'x' * 60_000}", f"{ROBOTS}# {'x' * 10_000}"])
async def test_bytes_of_robots_txt_count_as_well(crawler: Crawler, site: WebSite, robots: str) -> None:
    site.robots = robots

    _, infos = await crawler.crawl(f"{site.url}/page/3", 0, CrawlLimits(1_000, 50_000, timedelta(hours=1)))

    [crawl] = await crawler.database.read(web_crawls.newest, crawler.project_id, 1)
    is_enough = len(robots) > 50_000
    assert [info.error for info in infos] == [TOO_MANY_BYTES if is_enough else None]
    assert site.pages("/page") == ([] if is_enough else ["/page/3"])
    assert crawl.bytes > (50_000 if is_enough else len(robots))


async def test_crawl_reads_no_more_pages_than_it_may(crawler: Crawler, site: WebSite) -> None:
    status, infos = await crawler.crawl(site.url, 1, CrawlLimits(3, 10**9, timedelta(hours=1)))

    assert status is CrawlStatus.COMPLETED
    assert [info.url for info in infos] == [site.url + path for path in ("/", "/page/1", "/page/2")]


async def test_pages_of_bad_html_are_searchable_as_well(crawler: Crawler, site: WebSite) -> None:
    for number in (3, 7, 8, 9):
        await crawler.crawl(f"{site.url}/page/{number}", 0)

    vacation, bad = [
        await crawler.collection.search(crawler.project_id, query, 8) for query in ("vacation", "says next")
    ]

    assert [(each.url, SEARCHED in each.text) for each in vacation] == [(f"{site.url}/page/3", True)]
    assert [(each.url, each.text) for each in bad] == [(f"{site.url}/page/7", "Never closed\nPage 7 says so\nnext")]


async def test_page_that_is_crawled_again_is_found_once(crawler: Crawler, site: WebSite) -> None:
    for _ in range(2):
        await crawler.crawl(f"{site.url}/page/3#part", 0)

    found = await crawler.collection.search(crawler.project_id, "vacation", 8)

    row = await crawler.database.read(web_collections.find, crawler.project_id)
    assert row is not None
    assert [passage.url for passage in found] == [f"{site.url}/page/3"]
    assert await crawler.database.read(web_collections.count_pages, row.store_id) == 1


TEXT = " ".join(f"The pump of house {number} is checked daily." for number in range(900))
"""More chunks than are indexed at a time."""


class ForgetfulIndex:
    """The index, whose collection's rows are deleted after the first chunks of a page; or it fails then."""

    def __init__(self, crawler: Crawler, error: Exception | None) -> None:
        self._index, self._crawler, self._error, self.added = crawler.collection.vector_index, crawler, error, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def upsert(self, *about: Any) -> None:
        if self.added and self._error:
            raise self._error
        await self._index.upsert(*about)
        self.added += 1
        if not self._error:
            await self._crawler.database.write(web_collections.forget, self._crawler.project_id)


@pytest.mark.parametrize("error", [None, VectorIndexUnavailable("gone")])
async def test_page_that_ends_midway_leaves_no_chunks(crawler: Crawler, error: Exception | None) -> None:
    row = await crawler.database.write(web_collections.lock_or_create, crawler.project_id, None, None, 0)
    store, page = web_collections.indexed(row), IndexedFile("page_a", 7)
    index = ForgetfulIndex(crawler, error)
    collection = replace(crawler.collection, vector_index=cast(VectorIndex, index))

    with pytest.raises(VectorIndexUnavailable) if error else nullcontext():
        assert await collection.add(crawler.project_id, store, page, TEXT) is None

    assert index.added == 1
    assert await crawler.collection.vector_index.chunks(store, page, -1, 9) == []


@pytest.mark.parametrize("is_constrained", [True, False])
async def test_links_to_other_domains_are_followed_only_where_that_is_asked_for(
    crawler: Crawler, site: WebSite, is_constrained: bool
) -> None:
    _, infos = await crawler.crawl(f"{site.url}/away", 0, is_constrained=is_constrained)

    assert [info.error for info in infos] == [ELSEWHERE if is_constrained else "Port 1 is none of the web's."]
