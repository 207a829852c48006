"""What sites allow programs to fetch: their robots.txt, by RFC 9309, and the pace that it asks for."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from infra.web.errors import EnoughFetched, PageRefused, PageUnavailable
from infra.web.fetching import AGENT, Count, PageFetcher, uncounted

KEPT_FOR = timedelta(days=1)
KEPT_AFTER_OUTAGE = timedelta(minutes=1)
MAX_KEPT_SITES = 500
MAX_BYTES = 512_000
"""Of one file; RFC 9309 wants at least 500 KiB. What follows is not read."""

MAX_ASSIGNMENTS = 200_000
"""Lines that name agents, times all lines: the parser adds each rule to every agent of its group."""

MAX_KEPT_WEIGHT = 250_000
"""Of all sites that are remembered: what is parsed of a large file takes many times its size."""

BYTES_OF_AN_ASSIGNMENT = 16
"""Few, for files of few long lines."""

MAX_DELAY = timedelta(seconds=10)
"""A site that asks for more between two pages is not waited for any longer."""


@dataclass(frozen=True)
class SiteRules:
    """`rules` is what protego parsed; None allows everything, or nothing if the site `is_closed`.

    `weight` grows with the memory that they take.
    """

    rules: Any | None
    is_closed: bool
    until: float
    weight: int = 0

    def allows(self, url: str) -> bool:
        return not self.is_closed if self.rules is None else bool(self.rules.can_fetch(url, AGENT))

    @property
    def delay(self) -> timedelta:
        asked = self.rules.crawl_delay(AGENT) if self.rules is not None else None
        return min(timedelta(seconds=float(asked)), MAX_DELAY) if asked else timedelta()


class Robots:
    """Remembers the rules of sites for a day. `count` is called with the bytes of a file that is fetched."""

    def __init__(self, fetcher: PageFetcher) -> None:
        self._fetcher = fetcher
        self._sites: OrderedDict[str, SiteRules] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Of files that are being parsed, only one is in memory.
        self._parsing = asyncio.Lock()

    async def of(self, url: str, count: Count = uncounted) -> SiteRules:
        """The rules of a URL's site. Raises what `count` raises."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        async with self._asking.setdefault(site, asyncio.Lock()):
            found = self._sites.get(site)
            if found is None or found.until < time.monotonic():
                found = await self._ask(site, count)
                self._remember(site, found)
        return found

    async def check(self, url: str, count: Count = uncounted) -> None:
        """Raises `PageRefused` for a URL that its site keeps from programs, and what `count` raises."""
        if not (await self.of(url, count)).allows(url):
            raise PageRefused("The site's robots.txt does not allow this page.")

    async def _ask(self, site: str, count: Count) -> SiteRules:
        now = time.monotonic()
        try:
            page = await self._fetcher.fetch(f"{site}/robots.txt", count=count, text_bytes=MAX_BYTES)
        except EnoughFetched:
            # It says nothing of the site.
            raise
        except PageUnavailable as error:
            # A site without the file allows everything. One that fails to give it may have rules that nobody knows.
            is_closed = error.status is None or error.status >= 500
            kept = KEPT_AFTER_OUTAGE if is_closed else KEPT_FOR
            return SiteRules(None, is_closed, now + kept.total_seconds())
        except PageRefused:
            # Too many redirects, for one. Where the address is refused, so is every page.
            return SiteRules(None, False, now + KEPT_FOR.total_seconds())
        return await self._parsed(page.content.decode("utf-8", "replace"), now + KEPT_FOR.total_seconds())

    async def _parsed(self, text: str, until: float) -> SiteRules:
        from protego import Protego

        assignments = _assignments(text)
        if assignments > MAX_ASSIGNMENTS:
            # The parser, which nothing can stop, would take more time and memory than the rules of any site need.
            return SiteRules(None, True, until)
        async with self._parsing:
            rules = await asyncio.to_thread(Protego.parse, text)
        return SiteRules(rules, False, until, assignments + len(text) // BYTES_OF_AN_ASSIGNMENT)

    def _remember(self, site: str, rules: SiteRules) -> None:
        """Forget sites that were asked first, as many as there is no room for."""
        self._sites.pop(site, None)
        self._sites[site] = rules
        while len(self._sites) > MAX_KEPT_SITES or (len(self._sites) > 1 and self._weight() > MAX_KEPT_WEIGHT):
            self._sites.popitem(last=False)

    def _weight(self) -> int:
        return sum(each.weight for each in self._sites.values())


def _assignments(text: str) -> int:
    lines = text.splitlines()
    return max(1, sum("agent" in line.lower() for line in lines)) * len(lines)
