"""Web retrievals over a real site, a scripted engine, and the collection of the shared Holdfast."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from activities.tools.web_retrieval import NO_SEARCH, NO_SUCH_PART, WebRetrieval
from infra.database import web_collections
from infra.ports import ToolScope
from infra.tools.errors import ToolFailed, ToolUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from infra.web import collection
from infra.web.access import WebAccess
from infra.web.collection import WebCollectionSearch
from infra.web.fetching import PageFetcher, open_fetcher
from infra.web.network import CheckedNetwork
from infra.web.page_reading import PageReader
from infra.web.search.engines import SearxngSearch
from infra.web.search.json_engine import RATE_LIMITED, open_engine
from models.search_index import IndexedFile
from models.tool_calls import ToolCall, ToolKind, WebPassage, WebSource
from models.tools import WebRetrievalOptions
from models.web_hosts import PrivateHosts
from tests.activities.tools.test_file_search import Window
from tests.activities.tools.test_file_search import scope_of as scope_with_stores
from tests.holdfast import RunningHoldfast
from tests.infra.web.search.scripted_engine import ScriptedEngine, running_engine
from tests.web_site import SEARCHED, WebSite, running_web_site

VACATION = "https://docs.example/vacation"
RESULTS = [
    {"url": f"https://{host}.example/{number}", "title": f"Title {number}", "content": f"Snippet {number}"}
    for number, host in enumerate(["docs", "news", "docs", "blog", "docs"])
]


@pytest.fixture(scope="session")
def site() -> Iterator[WebSite]:
    with running_web_site() as running:
        yield running


@pytest.fixture(scope="session")
def engine() -> Iterator[ScriptedEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture(scope="session")
async def fetcher(site: WebSite) -> AsyncIterator[PageFetcher]:
    async with open_fetcher(CheckedNetwork(PrivateHosts.parse([site.host]))) as opened:
        yield opened


@pytest.fixture
async def tool(holdfast: RunningHoldfast, fetcher: PageFetcher, engine: ScriptedEngine) -> AsyncIterator[WebRetrieval]:
    resources = holdfast.resources
    collection = WebCollectionSearch(resources.database, resources.embedders, resources.vector_index)
    engine.status, engine.answer = 200, {"results": RESULTS}
    async with open_engine(engine.url) as opened:
        web = WebAccess(fetcher, PageReader(2), SearxngSearch(opened))
        yield WebRetrieval(web, collection, Window(None))


@pytest.fixture
async def scope(holdfast: RunningHoldfast) -> ToolScope:
    """A run of a project without any collection."""
    return replace(await scope_with_stores(holdfast), project_id=new_id_of_project())


def new_id_of_project() -> str:
    return uuid4().hex


def call(options: dict[str, Any] | None = None, **arguments: Any) -> ToolCall:
    made = None if options is None else WebRetrievalOptions(**options)
    return ToolCall("call_a", ToolKind.WEB_RETRIEVAL, "web_retrieval", json.dumps(arguments), 0, 0, made)


async def collect(tool: WebRetrieval, project_id: str, *pages: tuple[str, str]) -> None:
    """Put pages, each a URL and a text, into the project's collection."""
    embedder = tool.collection.embedders.for_new_stores
    assert embedder is not None
    database = tool.collection.database
    row = await database.write(web_collections.lock_or_create, project_id, "Docs.", embedder.model, embedder.dimensions)
    for number, (url, text) in enumerate(pages):
        page: dict[str, Any] = {"id": f"page_{number}", "url": url, "host": url.split("/")[2], "title": "T", "depth": 1}
        file = IndexedFile(f"page_{number}", 7)
        count = await tool.collection.add(project_id, web_collections.indexed(row), file, text)
        page |= {"generation": 7, "chunks": count}
        await database.write(web_collections.store_page, project_id, row.store_id, page)


def urls(passages: tuple[WebPassage, ...]) -> list[str]:
    return [passage.url for passage in passages]


async def test_search_finds_links_and_collected_passages(tool: WebRetrieval, scope: ToolScope) -> None:
    await collect(tool, scope.project_id, (VACATION, SEARCHED), ("https://docs.example/lunch", "Lunch is at noon."))

    found = await tool.run(call(query="vacation days"), scope)

    assert [passage.source for passage in found.passages] == [WebSource.COLLECTION] * 2 + [WebSource.LINK] * 5
    best, link = found.passages[0], found.passages[2]
    assert (best.url, best.text, best.depth, best.title) == (VACATION, SEARCHED, 1, "T")
    assert 0 < (best.score or 0) <= 1
    assert link == WebPassage("https://docs.example/0", "Title 0", "Snippet 0", WebSource.LINK)
    assert found.notes == ()


async def test_pages_of_another_project_are_not_found(tool: WebRetrieval, scope: ToolScope) -> None:
    await collect(tool, new_id_of_project(), (VACATION, SEARCHED))

    found = await tool.run(call(query="vacation days"), scope)

    assert {passage.source for passage in found.passages} == {WebSource.LINK}


@pytest.mark.any_database
async def test_older_generation_of_a_page_is_not_found(tool: WebRetrieval, scope: ToolScope) -> None:
    await collect(tool, scope.project_id, (VACATION, SEARCHED))
    row = await tool.collection.database.read(web_collections.find, scope.project_id)
    assert row is not None
    older = IndexedFile("page_0", 6)
    await tool.collection.add(scope.project_id, web_collections.indexed(row), older, "An older text on vacation days.")

    found = await tool.collection.search(scope.project_id, "vacation days", 8)

    assert [passage.text for passage in found] == [SEARCHED]


@pytest.mark.parametrize("domains", [["docs.example"], ["example"], ["nowhere.example"]])
async def test_search_stays_in_the_allowed_domains(
    tool: WebRetrieval, scope: ToolScope, engine: ScriptedEngine, domains: list[str]
) -> None:
    await collect(tool, scope.project_id, (VACATION, SEARCHED), ("https://other.test/a", SEARCHED))

    found = await tool.run(call({"allowed_domains": domains}, query="vacation"), scope)

    inside = {"docs.example": 4, "example": 6, "nowhere.example": 0}[domains[0]]
    assert len(found.passages) == inside
    assert all(f"{domains[0]}/" in url for url in urls(found.passages))
    assert engine.asked[-1]["q"] == f"vacation site:{domains[0]}"


@pytest.mark.any_database
async def test_search_stays_in_the_allowed_domains_of_any_number_of_pages(
    tool: WebRetrieval, scope: ToolScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "NAMED_PAGES", 1)
    inside = [(VACATION, SEARCHED), (f"{VACATION}/2", SEARCHED)]
    await collect(tool, scope.project_id, *inside, ("https://other.test/a", SEARCHED))

    found = await tool.collection.search(scope.project_id, "vacation", 8, ["docs.example"])

    assert {passage.url for passage in found} == {url for url, _ in inside}


@pytest.mark.any_database
@pytest.mark.parametrize(("most", "collected", "links"), [(1, 1, 0), (2, 1, 1), (3, 2, 1), (50, 2, 5)])
async def test_number_of_results_is_honoured(
    tool: WebRetrieval, scope: ToolScope, most: int, collected: int, links: int
) -> None:
    await collect(tool, scope.project_id, (VACATION, SEARCHED), (f"{VACATION}/2", SEARCHED))

    found = await tool.run(call({"max_num_results": most}, query="vacation"), scope)

    sources = [passage.source for passage in found.passages]
    assert (sources.count(WebSource.COLLECTION), sources.count(WebSource.LINK)) == (collected, links)


@pytest.mark.any_database
async def test_search_that_is_refused_is_said_to_the_model(
    tool: WebRetrieval, scope: ToolScope, engine: ScriptedEngine
) -> None:
    engine.status = 429

    found = await tool.run(call(query="vacation"), scope)

    assert (found.passages, found.notes) == ((), (f"The web was not searched. {RATE_LIMITED}",))


@pytest.mark.any_database
async def test_server_without_a_search_says_so(tool: WebRetrieval, scope: ToolScope) -> None:
    found = await replace(tool, web=replace(tool.web, search=None)).run(call(query="vacation"), scope)

    assert (found.passages, found.notes) == ((), (NO_SEARCH,))


@pytest.mark.any_database
async def test_outage_of_the_index_is_retried(
    tool: WebRetrieval, scope: ToolScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    await collect(tool, scope.project_id, (VACATION, SEARCHED))

    class Gone:
        async def search(self, *about: Any) -> None:
            raise VectorIndexUnavailable("gone")

    away = replace(tool, collection=replace(tool.collection, vector_index=Gone()))  # type: ignore[arg-type]
    with pytest.raises(ToolUnavailable):
        await away.run(call(query="vacation"), scope)


@pytest.mark.any_database
async def test_page_is_read_part_by_part(tool: WebRetrieval, scope: ToolScope, site: WebSite) -> None:
    one = replace(tool, language_model=Window(4_000))
    parts = [await one.run(call(url=f"{site.url}/long", part=part), scope) for part in (1, 2)]
    last = await one.run(call(url=f"{site.url}/long", part=99), scope)

    assert [len(part.passages) for part in parts] == [1, 1]
    assert [passage.source for part in parts for passage in part.passages] == [WebSource.PAGE] * 2
    assert parts[0].passages[0].text != parts[1].passages[0].text
    assert '"part": 2.' in parts[0].notes[0]
    assert last.passages == ()
    assert last.notes[0].startswith(NO_SUCH_PART.partition("{")[0])


@pytest.mark.any_database
async def test_single_page_is_opened_whatever_robots_txt_says(
    tool: WebRetrieval, scope: ToolScope, site: WebSite
) -> None:
    site.visits.clear()

    found = await tool.run(call(url=f"{site.url}/private/a"), scope)

    assert [passage.text for passage in found.passages] == ["Nobody may read this."]
    assert site.visits == ["/private/a"]


@pytest.mark.any_database
async def test_page_is_cut_to_the_number_of_results(tool: WebRetrieval, scope: ToolScope, site: WebSite) -> None:
    whole = await tool.run(call(url=f"{site.url}/long"), scope)
    some = await tool.run(call({"max_num_results": 2}, url=f"{site.url}/long"), scope)

    assert (len(whole.passages) > 2, len(some.passages)) == (True, 2)


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("path", "domains", "said"),
    [
        ("/gone", None, "status 404"),
        ("/page/3", ["docs.example"], "Only pages of these domains are read: docs.example."),
        ("/away", ["127.0.0.1"], "Only pages of these domains are read: 127.0.0.1."),
    ],
)
async def test_page_that_is_not_read_is_said_to_the_model(
    tool: WebRetrieval, scope: ToolScope, site: WebSite, path: str, domains: list[str] | None, said: str
) -> None:
    options = {"allowed_domains": domains} if domains else None

    with pytest.raises(ToolFailed, match=said):
        await tool.run(call(options, url=f"{site.url}{path}"), scope)


@pytest.mark.any_database
async def test_call_without_a_request_is_refused(tool: WebRetrieval, scope: ToolScope) -> None:
    with pytest.raises(ToolFailed, match="arguments must be JSON"):
        await tool.run(call(), scope)
