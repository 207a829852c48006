"""Crawls and collections in the database: bounds, idempotence and races."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from infra.database import index_deletions, web_collections, web_crawls
from infra.database.columns import AnyRow
from infra.database.connections import POSTGRES
from infra.database.engine import Database
from infra.database.web_crawls import MAX_CRAWLS_AT_A_TIME, MAX_PAGES_OF_PATH, CrawledPage
from models.errors import InvalidRequest, NotFound
from models.web_crawls import CrawlEnd, CrawlRequest, CrawlStatus
from tests.database import overlap, reading, writing
from tests.infra.database.crawls import ROOT, Crawl, begin

ALL = 1_000


@pytest.fixture
def crawl(database: Database) -> Crawl:
    with writing(database) as connection:
        return begin(connection, uuid4().hex)


def page(url: str = ROOT, generation: int = 1) -> dict[str, Any]:
    named = {"id": web_crawls.page_id_of(url), "url": url, "host": "a.example", "title": "A"}
    return named | {"depth": 0, "generation": generation, "chunks": 1}


def read(connection: Connection, crawl: Crawl, links: Sequence[str], most: int = ALL) -> bool:
    """Read the next pending URL, which leads on to `links`."""
    [url] = web_crawls.pending(connection, crawl.id, 1)
    return web_crawls.store_page(connection, url, CrawledPage(page(url.url), links), most)


def pending(connection: Connection, crawl: Crawl) -> list[tuple[str, int]]:
    return [(url.url, url.depth) for url in web_crawls.pending(connection, crawl.id, ALL)]


def test_links_are_read_level_by_level_and_once(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        read(connection, crawl, [f"{ROOT}b", f"{ROOT}c", ROOT])
        read(connection, crawl, [f"{ROOT}c", f"{ROOT}d"])

        assert pending(connection, crawl) == [(f"{ROOT}c", 1), (f"{ROOT}d", 2)]
        assert [info.url for info in web_crawls.infos(connection, crawl.id)] == [ROOT, f"{ROOT}b"]
        row = web_crawls.load(connection, crawl.project_id, crawl.id)
        assert row.urls == 4


def test_bytes_that_were_fetched_add_up(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        for size in (100, 20):
            web_crawls.count_fetched(connection, crawl.id, size)

        assert web_crawls.load(connection, crawl.project_id, crawl.id).bytes == 120


def test_links_beyond_the_depth_are_not_followed(database: Database) -> None:
    with writing(database) as connection:
        crawl = begin(connection, uuid4().hex, depth=0)
        read(connection, crawl, [f"{ROOT}b"])

        assert pending(connection, crawl) == []


def test_crawl_knows_no_more_urls_than_it_may(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        read(connection, crawl, [f"{ROOT}{number}" for number in range(9)], most=4)

        assert len(pending(connection, crawl)) == 3


def test_pages_that_differ_in_their_query_alone_are_few(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        read(connection, crawl, [f"{ROOT}calendar?month={number}" for number in range(90)])
        read(connection, crawl, [f"{ROOT}calendar?month=a{number}" for number in range(90)])

        assert len(pending(connection, crawl)) == MAX_PAGES_OF_PATH - 1


def test_page_that_is_read_again_is_replaced(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        store_id = _collection(connection, crawl).store_id
        for generation in (1, 2):
            web_collections.store_page(connection, crawl.project_id, store_id, page(generation=generation))

        [found] = web_collections.searchable(connection, store_id, None, ALL)
        assert (found.generation, web_collections.count_pages(connection, store_id)) == (2, 1)


def test_newer_page_of_another_crawl_is_left(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        store_id = _collection(connection, crawl).store_id
        web_collections.store_page(connection, crawl.project_id, store_id, page(generation=2))

        # It was read in generation 1.
        assert not read(connection, crawl, [f"{ROOT}b"])
        assert web_collections.named(connection, store_id, [page()["id"]])[page()["id"]].generation == 2
        assert pending(connection, crawl) == [(f"{ROOT}b", 1)]


@pytest.mark.parametrize(
    ("domains", "count"), [(None, 1), (["a.example"], 1), (["example"], 1), (["b.example"], 0), (["%"], 0), (["_"], 0)]
)
def test_pages_are_found_by_domain(database: Database, crawl: Crawl, domains: list[str] | None, count: int) -> None:
    with writing(database) as connection:
        store_id = _collection(connection, crawl).store_id
        web_collections.store_page(connection, crawl.project_id, store_id, page())

        assert len(web_collections.searchable(connection, store_id, domains, ALL)) == count


def test_description_stays_until_another_is_given(database: Database) -> None:
    project_id, told = uuid4().hex, []
    with writing(database) as connection:
        for description in (None, "First.", None, "Second."):
            told.append(_collection(connection, begin(connection, project_id, description)).description)

    assert told == [None, "First.", "First.", "Second."]


def test_crawls_at_a_time_are_bounded(database: Database) -> None:
    project_id = uuid4().hex
    with writing(database) as connection:
        crawls = [begin(connection, project_id) for _ in range(MAX_CRAWLS_AT_A_TIME)]
        with pytest.raises(InvalidRequest, match="crawls 4 times already"):
            begin(connection, project_id)
        web_crawls.end(connection, CrawlEnd(crawls[0].id, CrawlStatus.COMPLETED))
        begin(connection, project_id)


def test_roots_are_bounded_as_all_urls_are(database: Database) -> None:
    body = CrawlRequest(root_urls=[ROOT, f"{ROOT}b", ROOT], max_depth=1)
    with writing(database) as connection:
        with pytest.raises(InvalidRequest, match="reads 1 pages at most") as refused:
            web_crawls.create(connection, uuid4().hex, body, None, 0, max_urls=1)
        assert web_crawls.create(connection, uuid4().hex, body, None, 0, max_urls=2).urls == 2

    assert refused.value.param == "root_urls"


def test_crawl_ends_once(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        ends = [
            web_crawls.end(connection, CrawlEnd(crawl.id, status, error))
            for status, error in ((CrawlStatus.FAILED, "No."), (CrawlStatus.COMPLETED, None))
        ]

        row = web_crawls.load(connection, crawl.project_id, crawl.id)
        assert (ends, row.status, row.error) == ([True, False], CrawlStatus.FAILED, "No.")


def test_what_is_left_of_a_crawl_is_given_up(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        read(connection, crawl, [f"{ROOT}b"])
        web_crawls.give_up(connection, crawl.id, "Over.")

        assert [(info.url, info.error) for info in web_crawls.infos(connection, crawl.id)] == [
            (ROOT, None),
            (f"{ROOT}b", "Over."),
        ]


def test_nothing_is_stored_of_a_crawl_that_was_forgotten(database: Database, crawl: Crawl) -> None:
    with writing(database) as connection:
        [url] = web_crawls.pending(connection, crawl.id, 1)
        store = web_collections.indexed(_collection(connection, crawl))
        web_crawls.forget(connection, crawl.project_id)
        assert web_collections.forget(connection, crawl.project_id) == store

        assert not web_crawls.store_page(connection, url, CrawledPage(page(), []), ALL)
        assert web_collections.count_pages(connection, store.id) == 0
        assert store.id in [row.store_id for row in index_deletions.oldest(connection, 2**40, ALL)]
        with pytest.raises(NotFound):
            web_crawls.load(connection, crawl.project_id, crawl.id)


async def test_page_that_comes_with_the_deletion_is_not_kept(database: Database, crawl: Crawl) -> None:
    on_postgres(database)
    with reading(database) as connection:
        [url] = web_crawls.pending(connection, crawl.id, 1)
        store_id = _collection(connection, crawl).store_id

    def forget(connection: Connection) -> None:
        web_crawls.forget(connection, crawl.project_id)
        web_collections.forget(connection, crawl.project_id)

    stored = await overlap(
        database,
        forget,
        lambda connection: web_crawls.store_page(connection, url, CrawledPage(page(), [f"{ROOT}b"]), ALL),
    )

    assert stored is False
    with reading(database) as connection:
        assert web_collections.count_pages(connection, store_id) == 0
        assert web_crawls.pending(connection, crawl.id, ALL) == []


def on_postgres(database: Database) -> None:
    if database.engine.dialect.name != POSTGRES:
        pytest.skip("writers of SQLite never overlap")


async def test_first_crawls_of_a_project_that_begin_at_once_share_its_collection(database: Database) -> None:
    on_postgres(database)
    project_id = uuid4().hex

    second = await overlap(
        database,
        lambda connection: begin(connection, project_id, "First."),
        lambda connection: begin(connection, project_id, "Second."),
    )

    with reading(database) as connection:
        assert _collection(connection, second).description == "Second."
        assert len({row.id for row in web_crawls.newest(connection, project_id, ALL)}) == 2


@pytest.mark.parametrize("generations", [(1, 2), (2, 1)])
async def test_page_that_two_crawls_read_at_once_is_that_of_the_later_one(
    database: Database, crawl: Crawl, generations: tuple[int, int]
) -> None:
    on_postgres(database)
    with writing(database) as connection:
        other = begin(connection, crawl.project_id)
        store_id = _collection(connection, crawl).store_id

    def store(of: Crawl, generation: int) -> Callable[[Connection], bool]:
        def stored(connection: Connection) -> bool:
            [url] = web_crawls.pending(connection, of.id, 1)
            return web_crawls.store_page(connection, url, CrawledPage(page(generation=generation), []), ALL)

        return stored

    first, second = generations
    is_stored = await overlap(database, store(other, first), store(crawl, second))

    with reading(database) as connection:
        [found] = web_collections.searchable(connection, store_id, None, ALL)
    assert (is_stored, found.generation) == (second == max(generations), max(generations))


def _collection(connection: Connection, crawl: Crawl) -> AnyRow:
    row = web_collections.find(connection, crawl.project_id)
    assert row is not None
    return row
