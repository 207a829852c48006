"""Crawls, which collect pages for a project's web retrievals: the request, its course, and the inputs of workflows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from models.web_domains import host_of
from models.web_hosts import MAX_URL_LENGTH
from models.wire import IdentifiedObject, RequestBody, WireObject

WEB_CRAWL_WORKFLOW = "WebCrawlWorkflow"
COLLECTION = "web_retrieval"
"""How answers call a project's collected pages, as the OpenGPTs assistants-api does."""

MAX_ROOTS = 20
MAX_DEPTH = 10
MAX_DESCRIPTION_LENGTH = 1024
REMOVED = "<REMOVED>"


class CrawlStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class UrlStatus(StrEnum):
    PENDING = "pending"
    READ = "read"
    FAILED = "failed"


def _of_the_web(value: str) -> str:
    if not value.startswith(("http://", "https://")) or not host_of(value):
        raise PydanticCustomError("web_url", "expected a URL that begins with http:// or https://")
    return value


WebUrl = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(_of_the_web)]


class CrawlRequest(RequestBody):
    """With `background`, the answer comes at once; without it, when the crawl has ended."""

    root_urls: Annotated[list[WebUrl], Field(min_length=1, max_length=MAX_ROOTS, fail_fast=True)]
    max_depth: int = Field(ge=0, le=MAX_DEPTH)
    constrain_to_root_domain: bool = True
    description: str | None = Field(None, min_length=1, max_length=MAX_DESCRIPTION_LENGTH)
    background: bool = False


class CrawlInfo(WireObject):
    """A URL of a crawl. `error` is why it was not read."""

    url: str
    error: str | None
    content: str = REMOVED
    depth: int


class WebCrawl(IdentifiedObject):
    """`urls` counts those that are known, `bytes` what was fetched. Times are in seconds since the epoch."""

    object: Literal["ops.web_crawl"] = "ops.web_crawl"
    status: CrawlStatus
    root_urls: list[str]
    constrain_to_root_domain: bool
    max_depth: int
    created_at: int
    ended_at: int | None
    error: str | None
    urls: int
    bytes: int
    temporal_url: str | None = None


class WebCrawlCourse(WebCrawl):
    """A crawl with all its URLs, those that are not read yet left out."""

    crawl_infos: list[CrawlInfo]


class CrawlAnswer(WireObject):
    """As the OpenGPTs assistants-api answers, and with the crawl's id and status."""

    message: str
    crawl_infos: list[CrawlInfo]
    crawl_id: str
    status: CrawlStatus


class WebCollection(WireObject):
    """The project's collected pages, and its newest crawls. `description` is null where none was given."""

    object: Literal["ops.web_retrieval"] = "ops.web_retrieval"
    description: str | None
    pages: int
    crawls: list[WebCrawl]


class ForgottenCollection(WireObject):
    message: str


@dataclass(frozen=True)
class CrawlInput:
    crawl_id: str

    @property
    def workflow_id(self) -> str:
        return self.crawl_id


@dataclass(frozen=True)
class CrawlEnd:
    """How a crawl ends; `error` is for its operator."""

    crawl_id: str
    status: CrawlStatus
    error: str | None = None
