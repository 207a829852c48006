"""The crawls that faults hit: each collects a few pages of a scripted site, which another page waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.clients import PatientClient
from tests.chaos.patience import until
from tests.web_site import WebSite

PATH = "/ops/web_retrieval"
PAGES = 4
HELD_PAGE = 3


@dataclass(frozen=True)
class ChaosCrawl:
    """`visits` are the paths that it asks for, until the next one begins."""

    id: str
    urls: Sequence[str]
    visits: Sequence[str]


async def begin_crawl(client: PatientClient, site: WebSite, key: str) -> ChaosCrawl:
    """Begin one, and return when it waits for a page in the middle. `site.may_answer` lets it go on."""
    visits: list[str] = []
    site.visits = visits
    site.waits_after = HELD_PAGE - 1
    site.may_answer.clear()
    body = {"root_urls": [f"{site.url}/slow/1"], "max_depth": PAGES - 1, "background": True}
    crawl_id = (await client.post(PATH, body, key))["crawl_id"]

    async def waits() -> bool:
        return len(site.pages("/slow")) == HELD_PAGE

    await until(waits, "the crawl does not come to the page that is held")
    return ChaosCrawl(crawl_id, [f"{site.url}/slow/{number}" for number in range(1, PAGES + 1)], visits)


async def faults_of_crawls(client: PatientClient, crawls: Sequence[ChaosCrawl]) -> list[str]:
    """Each has ended with all of its pages, which are in the collection, and read no page again that was stored."""
    faults = []
    for crawl in crawls:
        try:
            course = await ended(client, crawl)
        except AssertionError as error:
            return [str(error)]
        read = [(info["url"], info["error"]) for info in course["crawl_infos"]]
        if course["status"] != "completed" or read != [(url, None) for url in crawl.urls]:
            faults.append(f"crawl {crawl.id} is {course['status']}: {course['error']}, with {read}")
        faults += _read_again(crawl)
    if crawls and (pages := (await client.get(PATH))["pages"]) != PAGES:
        faults.append(f"{pages} pages are collected, not {PAGES}")
    return faults


def _read_again(crawl: ChaosCrawl) -> list[str]:
    """Only those before the held page, which were stored before a fault: a later fault may hit any of the others."""
    stored = [urlsplit(url).path for url in crawl.urls[: HELD_PAGE - 1]]
    counts = {path: crawl.visits.count(path) for path in stored}
    return [f"crawl {crawl.id} read {path} {count} times" for path, count in counts.items() if count != 1]


async def ended(client: PatientClient, crawl: ChaosCrawl) -> Any:
    """How it has ended. Raises `AssertionError` for one that does not."""
    course: Any = None

    async def has_ended() -> bool:
        nonlocal course
        course = await client.get(f"{PATH}/{crawl.id}")
        return bool(course["status"] != "in_progress")

    await until(has_ended, f"crawl {crawl.id} does not end")
    return course
