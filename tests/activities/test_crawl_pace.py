import asyncio
import time
from datetime import timedelta
from typing import Any, cast

import pytest

from activities.crawl_pace import CrawlPace
from infra.web.fetching import Count
from infra.web.robots import Robots, SiteRules

pytestmark = pytest.mark.any_database
DELAY = timedelta(seconds=0.1)


class _Rules:
    def crawl_delay(self, agent: str) -> float:
        return DELAY.total_seconds()


class _Robots:
    async def of(self, url: str, count: Count) -> SiteRules:
        return SiteRules(_Rules() if "slow" in url else None, False, 0)


async def test_site_is_asked_no_faster_than_it_wants() -> None:
    pace = CrawlPace(cast(Robots, cast(Any, _Robots())))
    began = time.monotonic()

    await asyncio.gather(*(pace.wait_for(f"http://slow.example/{number}") for number in range(4)))

    assert time.monotonic() - began >= 3 * DELAY.total_seconds()


async def test_other_sites_do_not_wait() -> None:
    pace = CrawlPace(cast(Robots, cast(Any, _Robots())))
    await pace.wait_for("http://slow.example/1")
    began = time.monotonic()

    await asyncio.gather(*(pace.wait_for(f"http://quick.example/{number}") for number in range(4)))

    assert time.monotonic() - began < DELAY.total_seconds()
