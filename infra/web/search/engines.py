"""SearXNG, Brave and Tavily: three engines that answer in JSON, each with its own request and shape."""

from collections.abc import Collection, Sequence

from pydantic import BaseModel, Field

from infra.web.search.json_engine import JsonEngine
from infra.web.search.query import with_domains
from models.web_pages import WebLink

BRAVE_URL = "https://api.search.brave.com/res/v1/web/search"
TAVILY_URL = "https://api.tavily.com/search"
MAX_RESULTS = 20
"""The most that Brave and Tavily give at once."""


class _Result(BaseModel):
    url: str
    title: str | None = ""
    content: str | None = ""
    description: str | None = ""

    def link(self) -> WebLink:
        return WebLink(self.url, self.title or "", self.content or self.description or "")


class _Results(BaseModel):
    results: list[_Result] = Field(default_factory=list)


class _BraveAnswer(BaseModel):
    web: _Results | None = None


class SearxngSearch:
    """Its settings have to allow the format `json`."""

    def __init__(self, engine: JsonEngine) -> None:
        self._engine = engine

    async def search(self, query: str, limit: int, domains: Collection[str] = ()) -> Sequence[WebLink]:
        asked = {"q": with_domains(query, domains), "format": "json"}
        found = await self._engine.ask(_Results, params=asked)
        return [result.link() for result in found.results[:limit]]


class BraveSearch:
    def __init__(self, engine: JsonEngine) -> None:
        self._engine = engine

    async def search(self, query: str, limit: int, domains: Collection[str] = ()) -> Sequence[WebLink]:
        asked = {"q": with_domains(query, domains), "count": str(min(limit, MAX_RESULTS))}
        found = await self._engine.ask(_BraveAnswer, params=asked)
        return [result.link() for result in (found.web or _Results()).results[:limit]]


class TavilySearch:
    def __init__(self, engine: JsonEngine) -> None:
        self._engine = engine

    async def search(self, query: str, limit: int, domains: Collection[str] = ()) -> Sequence[WebLink]:
        asked = {"query": query, "max_results": min(limit, MAX_RESULTS), "include_domains": list(domains)}
        found = await self._engine.ask(_Results, "POST", json=asked)
        return [result.link() for result in found.results[:limit]]
