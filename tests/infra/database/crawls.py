"""Crawls that tests begin."""

from dataclasses import dataclass

from sqlalchemy import Connection

from infra.database import web_crawls
from models.web_crawls import CrawlRequest

ROOT = "http://a.example/"


@dataclass(frozen=True)
class Crawl:
    project_id: str
    id: str


def begin(connection: Connection, project_id: str, description: str | None = None, depth: int = 3) -> Crawl:
    body = CrawlRequest(root_urls=[ROOT], max_depth=depth, description=description)
    return Crawl(project_id, web_crawls.create(connection, project_id, body, None, 0).id)
