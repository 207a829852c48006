"""A crawl that is cut off, by a `kill -9` of all of Holdfast's processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.cli.program import HOLDFAST, Place, Up, wait_until
from tests.web_site import WebSite, running_web_site

CRAWL = "/ops/web_retrieval"
PAGES = 4


@pytest.fixture
def site() -> Iterator[WebSite]:
    with running_web_site() as running:
        yield running


@pytest.mark.slow
def test_killed_crawl_goes_on_behind_the_pages_that_it_has_read(tmp_path: Path, site: WebSite) -> None:
    place = Place.new(tmp_path)
    site.waits_after = 2
    site.may_answer.clear()
    with httpx.Client(base_url=place.url) as client:
        killed = _up(place, site)
        body = {"root_urls": [f"{site.url}/slow/1"], "max_depth": PAGES - 1, "background": True}
        crawl_id = client.post(CRAWL, json=body).json()["crawl_id"]
        # Two pages are read, and the third is asked for.
        wait_until(lambda: len(site.pages("/slow")) == 3)
        _kill(killed)
        site.may_answer.set()

        again = _up(place, site)
        try:
            wait_until(lambda: _course(client, crawl_id)["status"] == "completed")
            course, collection = _course(client, crawl_id), client.get(CRAWL).json()
        finally:
            again.end()

    urls = [f"{site.url}/slow/{number}" for number in range(1, PAGES + 1)]
    assert [(info["url"], info["error"]) for info in course["crawl_infos"]] == [(url, None) for url in urls]
    assert collection["pages"] == PAGES
    assert [site.visits.count(f"/slow/{number}") for number in range(1, PAGES + 1)] == [1, 1, 2, 1]


def _course(client: httpx.Client, crawl_id: str) -> Any:
    return client.get(f"{CRAWL}/{crawl_id}").json()


def _up(place: Place, site: WebSite) -> Up:
    return Up(place, (*HOLDFAST, "up"), HOLDFAST_WEB_ALLOWED_HOSTS=site.host, HOLDFAST_WEB_SEARCH="off").ready()


def _kill(up: Up) -> None:
    processes = up.all_processes()
    for process in processes:
        process.kill()
    up.process.wait()
    psutil.wait_procs(processes)
