"""The pace of one crawl: each site is asked no faster than its robots.txt wants."""

import asyncio
import time

from infra.web.fetching import Count, uncounted
from infra.web.robots import Robots
from models.web_domains import host_of


class CrawlPace:
    def __init__(self, robots: Robots) -> None:
        self._robots = robots
        self._next: dict[str, float] = {}

    async def wait_for(self, url: str, count: Count = uncounted) -> None:
        """Return when the site may be asked for the URL. Raises what `count` raises."""
        delay = (await self._robots.of(url, count)).delay.total_seconds()
        if delay:
            now, host = time.monotonic(), host_of(url)
            turn = max(self._next.get(host, now), now)
            self._next[host] = turn + delay
            await asyncio.sleep(turn - now)
