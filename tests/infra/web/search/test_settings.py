"""Which search engine the settings choose, and which settings are refused."""

import pytest
from pydantic import ValidationError

from infra.resources import open_web_search
from infra.settings import Settings
from infra.web.search.ddgs import DdgsSearch
from infra.web.search.engines import BraveSearch, SearxngSearch, TavilySearch
from tests.infra.web.search.scripted_engine import running_engine

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [("ddgs", DdgsSearch), ("brave", BraveSearch), ("tavily", TavilySearch), ("off", type(None))],
)
async def test_engine_is_chosen_by_its_name(chosen: str, kind: type) -> None:
    async with open_web_search(Settings(_env_file=None, web_search=chosen, web_search_key="sk")) as search:
        assert isinstance(search, kind)


async def test_searxng_is_asked_at_its_address() -> None:
    with running_engine() as engine:
        settings = Settings(_env_file=None, web_search=f"searxng+{engine.url}/")
        async with open_web_search(settings) as search:
            assert isinstance(search, SearxngSearch)
            await search.search("leave", 3)

    assert engine.asked == [{"q": "leave", "format": "json"}]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("web_search", "google", "web_search"),
        ("web_search", "searxng", "web_search"),
        ("web_search", "brave", "HOLDFAST_WEB_SEARCH_KEY"),
        ("web_search", "tavily", "HOLDFAST_WEB_SEARCH_KEY"),
        ("web_allowed_hosts", "wiki.example,http://a", "http://a"),
        ("web_crawl_pages", "0", "web_crawl_pages"),
    ],
)
def test_setting_that_means_nothing_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(_env_file=None, **{name: value})  # type: ignore[arg-type]


def test_key_of_the_engine_is_not_printed() -> None:
    assert "sk-secret" not in repr(Settings(_env_file=None, web_search_key="sk-secret"))
