"""The chaos suite reports each way in which a crawl can go wrong as a fault."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chaos.clients import PatientClient
from tests.chaos.crawls import PAGES, PATH, ChaosCrawl, faults_of_crawls

URLS = [f"http://site/slow/{number}" for number in range(1, PAGES + 1)]
PATHS = [f"/slow/{number}" for number in range(1, PAGES + 1)]
READ = [{"url": url, "error": None} for url in URLS]
COURSE: Mapping[str, Any] = {"status": "completed", "error": None, "crawl_infos": READ}

pytestmark = pytest.mark.any_database


class Answering(PatientClient):
    """Answers for a server."""

    def __init__(self, course: Mapping[str, Any], pages: int) -> None:
        super().__init__(["http://nowhere"], seed=0)
        self._answers = {PATH: {"pages": pages}, f"{PATH}/crawl_1": course}

    async def get(self, path: str) -> Any:
        return self._answers[path]


@pytest.mark.parametrize("again", [[], [PATHS[2]], [PATHS[2], PATHS[3]]])
async def test_crawl_that_reads_what_it_had_not_stored_again_is_no_fault(again: list[str]) -> None:
    crawl = ChaosCrawl("crawl_1", URLS, ["/robots.txt", *PATHS, *again])

    assert await faults_of_crawls(Answering(COURSE, PAGES), [crawl]) == []


@pytest.mark.parametrize(
    ("visits", "course", "pages", "fault"),
    [
        ([*PATHS, PATHS[0]], {}, PAGES, "crawl crawl_1 read /slow/1 2 times"),
        ([*PATHS, PATHS[1]], {}, PAGES, "crawl crawl_1 read /slow/2 2 times"),
        (PATHS, {"status": "failed"}, PAGES, "crawl crawl_1 is failed: None"),
        (PATHS, {"crawl_infos": READ[1:]}, PAGES, "crawl crawl_1 is completed: None"),
        (PATHS, {}, PAGES + 1, f"{PAGES + 1} pages are collected, not {PAGES}"),
    ],
)
async def test_fault_of_a_crawl_is_reported(
    visits: list[str], course: Mapping[str, Any], pages: int, fault: str
) -> None:
    crawl = ChaosCrawl("crawl_1", URLS, visits)

    [said] = await faults_of_crawls(Answering({**COURSE, **course}, pages), [crawl])

    assert said.startswith(fault)
