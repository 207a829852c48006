"""What sites allow programs to fetch: their robots.txt, by RFC 9309, and the pace that it asks for."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from infra.web.errors import PageRefused, PageUnavailable
from infra.web.fetching import AGENT, PageFetcher

KEPT_FOR = timedelta(days=1)
KEPT_AFTER_OUTAGE = timedelta(minutes=1)
MAX_KEPT_SITES = 50
"""Few: what is parsed of a large file takes many times its size."""

MAX_BYTES = 512_000
"""Of one file; RFC 9309 wants at least 500 KiB. What follows is not read."""

MAX_ASSIGNMENTS = 200_000
"""Lines that name agents, times all lines: the parser adds each rule to every agent of its group."""

MAX_DELAY = timedelta(seconds=10)
"""A site that asks for more between two pages is not waited for any longer."""


@dataclass(frozen=True)
class SiteRules:
    """`rules` is what protego parsed; None allows everything, or nothing if the site `is_closed`."""

    rules: Any | None
    is_closed: bool
    until: float

    def allows(self, url: str) -> bool:
        return not self.is_closed if self.rules is None else bool(self.rules.can_fetch(url, AGENT))

    @property
    def delay(self) -> timedelta:
        asked = self.rules.crawl_delay(AGENT) if self.rules is not None else None
        return min(timedelta(seconds=float(asked)), MAX_DELAY) if asked else timedelta()


class Robots:
    """Remembers the rules of sites for a day."""

    def __init__(self, fetcher: PageFetcher) -> None:
        self._fetcher = fetcher
        self._sites: dict[str, SiteRules] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def of(self, url: str) -> SiteRules:
        """The rules of a URL's site. Raises `PageRefused` where the site itself may not be fetched from."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        async with self._asking.setdefault(site, asyncio.Lock()):
            found = self._sites.get(site)
            if found is None or found.until < time.monotonic():
                found = await self._ask(site)
                self._remember(site, found)
        return found

    async def check(self, url: str) -> None:
        """Raises `PageRefused` for a URL that its site keeps from programs."""
        if not (await self.of(url)).allows(url):
            raise PageRefused("The site's robots.txt does not allow this page.")

    async def _ask(self, site: str) -> SiteRules:
        from protego import Protego

        now = time.monotonic()
        try:
            page = await self._fetcher.fetch(f"{site}/robots.txt", any_type=True)
        except PageUnavailable as error:
            # A site without the file allows everything. One that fails to give it may have rules that nobody knows.
            is_closed = error.status is None or error.status >= 500
            kept = KEPT_AFTER_OUTAGE if is_closed else KEPT_FOR
            return SiteRules(None, is_closed, now + kept.total_seconds())
        except PageRefused:
            # Too many redirects, for one. Where the address is refused, so is every page.
            return SiteRules(None, False, now + KEPT_FOR.total_seconds())
        text = page.content[:MAX_BYTES].decode("utf-8", "replace")
        if _is_too_large(text):
            return SiteRules(None, True, now + KEPT_FOR.total_seconds())
        rules = await asyncio.to_thread(Protego.parse, text)
        return SiteRules(rules, False, now + KEPT_FOR.total_seconds())

    def _remember(self, site: str, rules: SiteRules) -> None:
        if len(self._sites) >= MAX_KEPT_SITES:
            self._sites.clear()
            self._asking.clear()
        self._sites[site] = rules


def _is_too_large(text: str) -> bool:
    """Whether the parser, which nothing can stop, would take more time or memory than the rules of any site need."""
    lines = text.splitlines()
    return sum("agent" in line.lower() for line in lines) * len(lines) > MAX_ASSIGNMENTS
