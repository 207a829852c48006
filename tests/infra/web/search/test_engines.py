"""Search engines, scripted at HTTP level: what each is asked, and how its refusals are said."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from ddgs.base import BaseSearchEngine
from ddgs.engines import ENGINES
from ddgs.results import TextResult

from infra.ports import WebSearch
from infra.web.errors import SearchFailed
from infra.web.search import ddgs, json_engine
from infra.web.search.ddgs import DdgsSearch
from infra.web.search.engines import BraveSearch, SearxngSearch, TavilySearch
from infra.web.search.json_engine import JsonEngine, open_engine
from models.web_pages import WebLink
from tests.infra.web.search.scripted_engine import ScriptedEngine, running_engine

pytestmark = pytest.mark.any_database

LINKS = [WebLink(f"https://a.example/{number}", f"T{number}", f"C{number}") for number in range(5)]
RESULTS = [{"url": link.url, "title": link.title, "content": link.text, "score": 1.5} for link in LINKS]
DESCRIBED = [{"url": link.url, "title": link.title, "description": link.text} for link in LINKS]
Kind = Callable[[JsonEngine], WebSearch]


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    with running_engine() as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "answer", "asked"),
    [
        (SearxngSearch, {"results": RESULTS}, {"q": "leave (site:a.example OR site:b.example)", "format": "json"}),
        (BraveSearch, {"web": {"results": DESCRIBED}}, {"q": "leave (site:a.example OR site:b.example)", "count": "3"}),
        (
            TavilySearch,
            {"results": RESULTS},
            {"query": "leave", "max_results": 3, "include_domains": ["a.example", "b.example"]},
        ),
    ],
)
async def test_engine_is_asked_in_its_own_way(engine: ScriptedEngine, kind: Kind, answer: Any, asked: Any) -> None:
    engine.answer = answer

    async with open_engine(engine.url, {"x-key": "secret"}) as opened:
        found = await kind(opened).search("leave", 3, ["a.example", "b.example"])

    assert (found, engine.asked, engine.headers[0]["x-key"]) == (LINKS[:3], [asked], "secret")


@pytest.mark.parametrize("kind", [SearxngSearch, BraveSearch, TavilySearch])
async def test_engine_that_finds_nothing_gives_nothing(engine: ScriptedEngine, kind: Kind) -> None:
    async with open_engine(engine.url) as opened:
        assert await kind(opened).search("leave", 3) == []


@pytest.mark.parametrize("kind", [SearxngSearch, BraveSearch, TavilySearch])
@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (429, {}, json_engine.RATE_LIMITED),
        (403, {}, json_engine.REFUSED.format(status=403)),
        (500, {}, json_engine.FAILED.format(status=500)),
        (302, {}, json_engine.FAILED.format(status=302)),
        (200, "<html>", json_engine.UNREADABLE),
        (200, {"results": 7, "web": 7}, json_engine.UNREADABLE),
        (200, " " * 5_000_000, json_engine.UNREADABLE),
    ],
)
async def test_refusal_is_said(engine: ScriptedEngine, kind: Kind, status: int, answer: Any, said: str) -> None:
    engine.status, engine.answer = status, answer

    async with open_engine(engine.url) as opened:
        with pytest.raises(SearchFailed) as refused:
            await kind(opened).search("leave", 3)

    assert str(refused.value) == said


async def test_answer_whose_compression_is_damaged_is_said(engine: ScriptedEngine) -> None:
    engine.encoding = "gzip"

    async with open_engine(engine.url) as opened:
        with pytest.raises(SearchFailed) as refused:
            await SearxngSearch(opened).search("leave", 3)

    assert str(refused.value) == json_engine.UNREADABLE


async def test_answer_that_does_not_end_is_said(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_engine, "TIMEOUT", timedelta(seconds=0.5))
    engine.may_end.clear()

    # The client of the engine was opened with a patience of its own.
    async with httpx.AsyncClient() as client:
        with pytest.raises(SearchFailed) as refused:
            await SearxngSearch(JsonEngine(client, engine.url)).search("leave", 3)

    assert str(refused.value) == json_engine.NO_ANSWER


async def test_engine_that_is_gone_is_said() -> None:
    async with open_engine("http://127.0.0.1:9") as opened:
        with pytest.raises(SearchFailed, match="does not answer"):
            await SearxngSearch(opened).search("leave", 3)


@pytest.fixture
def scraped(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """The only engine that `ddgs` knows: its page is read by the library, from loopback."""

    class Scripted(BaseSearchEngine[TextResult]):
        name = "scripted"
        category = "text"
        provider = "scripted"
        search_url = engine.url
        search_method = "GET"
        items_xpath = "//li"
        elements_xpath = {"title": ".//a//text()", "href": ".//a/@href", "body": ".//p//text()"}

        def build_payload(self, query: str, *about: Any, **more: Any) -> dict[str, Any]:
            return {"q": query}

    monkeypatch.setitem(ENGINES, "text", {"scripted": Scripted})
    return engine


async def test_ddgs_reads_the_pages_of_engines(scraped: ScriptedEngine) -> None:
    scraped.answer = "".join(f"<li><a href='{link.url}'>{link.title}</a><p>{link.text}</p></li>" for link in LINKS)

    found = await DdgsSearch().search("T0 leave", 3, ["a.example"])

    assert scraped.asked == [{"q": "T0 leave site:a.example"}]
    assert len(found) == 3
    assert set(found) <= set(LINKS)


@pytest.mark.parametrize(("status", "answer"), [(200, "<p>Nothing"), (202, ""), (403, "No robots"), (429, "")])
async def test_ddgs_says_that_no_engine_answered(scraped: ScriptedEngine, status: int, answer: str) -> None:
    scraped.status, scraped.answer = status, answer

    with pytest.raises(SearchFailed) as refused:
        await DdgsSearch().search("leave", 3)

    assert str(refused.value) == ddgs.NO_ANSWER


@pytest.mark.parametrize("count", [0, 9])
async def test_query_stays_as_it_is_without_domains_or_with_many(scraped: ScriptedEngine, count: int) -> None:
    with pytest.raises(SearchFailed):
        await DdgsSearch().search("leave", 3, [f"d{number}.example" for number in range(count)])

    assert scraped.asked == [{"q": "leave"}]
