"""The plans of the queries of crawls and collections."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from infra.database import web_collections, web_crawls
from infra.database.engine import Database
from tests.database import writing
from tests.infra.database.conftest import SHARES_FILLED
from tests.infra.database.crawls import Crawl, begin
from tests.infra.database.plans import BY_ID, plan_of

pytestmark = SHARES_FILLED

Query = Callable[[Connection, Crawl], object]
CRAWL, COLLECTION, PAGE = (BY_ID.format(table) for table in ("web_crawls", "web_collections", "web_pages"))
URL, BY_PROJECT, ACTIVE = BY_ID.format("web_crawl_urls"), "web_crawls_by_project", "web_crawls_in_progress"
BY_STATUS, BY_POSITION = "web_crawl_urls_by_status", "web_crawl_urls_by_position"


@pytest.fixture
def crawl(filled: Database) -> Crawl:
    with writing(filled) as connection:
        return begin(connection, uuid4().hex)


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        (lambda c, crawl: web_crawls.load(c, crawl.project_id, crawl.id), {CRAWL, BY_PROJECT}),
        (lambda c, crawl: web_crawls.newest(c, crawl.project_id, 20), {BY_PROJECT}),
        (lambda c, crawl: web_crawls.find_active(c, crawl.id), {CRAWL, ACTIVE}),
        (lambda c, crawl: web_crawls.pending(c, crawl.id, 8), {BY_STATUS}),
        (lambda c, crawl: web_crawls.infos(c, crawl.id), {BY_POSITION, BY_STATUS}),
        (lambda c, crawl: web_crawls.give_up(c, crawl.id, "Over."), {BY_STATUS, BY_POSITION, URL}),
        (lambda c, crawl: web_crawls.take_due(c, 9, 9), {ACTIVE}),
        (lambda c, crawl: web_collections.find(c, crawl.project_id), {COLLECTION}),
        (lambda c, crawl: web_collections.searchable(c, "vs_x", None, 9), {PAGE}),
        (lambda c, crawl: web_collections.searchable(c, "vs_x", ["a.example"], 9), {PAGE}),
        (lambda c, crawl: web_collections.named(c, "vs_x", ["page_a"]), {PAGE}),
        (lambda c, crawl: web_collections.count_pages(c, "vs_x"), {PAGE}),
    ],
)
def test_query_finds_its_rows_by_an_index(filled: Database, crawl: Crawl, query: Query, indexes: set[str]) -> None:
    plan = plan_of(filled, lambda connection: query(connection, crawl))

    assert plan.indexes <= indexes
    assert plan.indexes
    assert plan.scans_and_sorts == []
