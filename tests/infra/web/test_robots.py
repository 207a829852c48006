"""The rules of sites, over a real site whose robots.txt changes."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from infra.web import robots as rules_of_sites
from infra.web.errors import EnoughFetched, PageRefused
from infra.web.fetching import FetchedPage, PageFetcher, open_fetcher
from infra.web.network import CheckedNetwork
from infra.web.robots import MAX_BYTES, MAX_DELAY, Robots
from models.web_hosts import PrivateHosts
from tests.web_site import WebSite, running_web_site

pytestmark = pytest.mark.any_database


@pytest.fixture
def site() -> Iterator[WebSite]:
    with running_web_site() as running:
        yield running


@pytest.fixture
async def robots(site: WebSite) -> AsyncIterator[Robots]:
    async with open_fetcher(CheckedNetwork(PrivateHosts.parse([site.host]))) as fetcher:
        yield Robots(fetcher)


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("User-agent: *\nDisallow: /private/", False),
        ("User-agent: *\nDisallow: /\nAllow: /private/", True),
        ("User-agent: Holdfast\nDisallow: /", False),
        ("User-agent: OtherBot\nDisallow: /", True),
        ("User-agent: *\nDisallow: /*a$", False),
        ("User-agent: *\nDisallow: /" + "*a" * 5_000 + "*b", True),
        ("<html>no rules</html>", True),
        ("", True),
    ],
)
async def test_rules_of_the_site_are_honoured(robots: Robots, site: WebSite, text: str, is_allowed: bool) -> None:
    site.robots = text

    try:
        await robots.check(f"{site.url}/private/a")
    except PageRefused:
        assert not is_allowed
    else:
        assert is_allowed


@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "application/pdf", "text/x-robots"])
async def test_rules_are_honoured_whatever_their_media_type_is(robots: Robots, site: WebSite, media_type: str) -> None:
    site.type_of_robots = media_type

    with pytest.raises(PageRefused):
        await robots.check(f"{site.url}/private/a")


async def test_rules_are_asked_for_once(robots: Robots, site: WebSite) -> None:
    for path in ("/a", "/b", "/private/c"):
        await robots.of(f"{site.url}{path}")

    assert site.visits == ["/robots.txt"]


async def test_file_of_more_rules_and_agents_than_can_be_parsed_closes_the_site(robots: Robots, site: WebSite) -> None:
    agents, rules = "user-agent: other-{}\n", "disallow: /{}\n"
    site.robots = "".join([agents.format(number) for number in range(700)] + [rules.format(n) for n in range(700)])

    found = await robots.of(f"{site.url}/a")

    assert (found.rules, found.allows(f"{site.url}/a")) == (None, False)


async def test_rules_beyond_the_bound_of_the_file_are_not_read(robots: Robots, site: WebSite) -> None:
    first = "user-agent: *\ndisallow: /a\n"
    site.robots = first + "#" * (MAX_BYTES - len(first)) + "\ndisallow: /b\n"

    found = await robots.of(f"{site.url}/a")

    assert [found.allows(f"{site.url}{path}") for path in ("/a", "/b")] == [False, True]


class Files:
    """A robots.txt for each site, all alike."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.asked: list[str] = []

    async def fetch(self, url: str, *about: Any, **more: Any) -> FetchedPage:
        self.asked.append(url.split("/")[2])
        return FetchedPage(url, "text/plain", None, self._text.encode())


AGENT, RULE = "user-agent: *\n", "disallow: /a\n"


@pytest.mark.parametrize(("text", "kept"), [(AGENT + RULE * 9, 3), (AGENT * 5 + RULE, 1), ("#" * 640, 1), ("", 9)])
async def test_rules_of_many_sites_are_remembered_by_the_memory_that_they_take(
    monkeypatch: pytest.MonkeyPatch, text: str, kept: int
) -> None:
    monkeypatch.setattr(rules_of_sites, "MAX_KEPT_WEIGHT", 60)
    monkeypatch.setattr(rules_of_sites, "MAX_KEPT_SITES", 9)
    files, sites = Files(text), [f"{number}.example" for number in range(20)]
    robots = Robots(cast(PageFetcher, files))

    for site in [*sites, *reversed(sites)]:
        await robots.of(f"http://{site}/")

    assert sites + list(reversed(sites[:-kept])) == files.asked


async def test_crawl_that_may_fetch_no_more_says_nothing_of_the_site(robots: Robots, site: WebSite) -> None:
    def count(size: int) -> None:
        raise EnoughFetched

    with pytest.raises(EnoughFetched):
        await robots.check(f"{site.url}/private/a", count)

    with pytest.raises(PageRefused, match="does not allow"):
        await robots.check(f"{site.url}/private/a")


@pytest.mark.parametrize("encoding", ["br", "gzip"])
async def test_site_whose_rules_cannot_be_unpacked_is_left_alone(robots: Robots, site: WebSite, encoding: str) -> None:
    site.encoding_of_robots = encoding

    with pytest.raises(PageRefused):
        await robots.check(f"{site.url}/a")


async def test_site_that_does_not_answer_is_left_alone(robots: Robots) -> None:
    with pytest.raises(PageRefused):
        await robots.check("http://nowhere.invalid/a")


@pytest.mark.parametrize(("asked", "delay"), [("2", timedelta(seconds=2)), ("3600", MAX_DELAY), ("x", timedelta())])
async def test_pace_of_the_site_is_honoured_within_bounds(
    robots: Robots, site: WebSite, asked: str, delay: timedelta
) -> None:
    site.robots = f"User-agent: *\nCrawl-delay: {asked}\nDisallow: /private/"

    assert (await robots.of(f"{site.url}/a")).delay == delay
