"""What tools and crawls need of the web."""

from dataclasses import dataclass

from infra.ports import WebSearch
from infra.web.fetching import PageFetcher
from infra.web.page_reading import PageReader


@dataclass(frozen=True)
class WebAccess:
    """`search` is None where the web is not searched."""

    fetcher: PageFetcher
    reader: PageReader
    search: WebSearch | None
