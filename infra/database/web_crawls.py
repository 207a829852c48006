"""Crawls: their URLs in the order in which they were found, and what has become of each.

A URL is read in one transaction, with the links that lead on from it: a crawl that is cut off goes on behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from infra.clock import now_ms, now_seconds
from infra.database import web_collections
from infra.database.columns import AnyRow
from infra.database.web_tables import IS_CRAWLED_NOW, WEB_CRAWL_URLS, WEB_CRAWLS
from infra.web.urls import canonical
from models.errors import InvalidRequest, NotFound
from models.ids import Prefix, derived_id, new_id
from models.web_crawls import CrawlEnd, CrawlInfo, CrawlRequest, CrawlStatus, UrlStatus, WebCrawl

NOUN = "crawl"
MAX_URLS = 100_000
MAX_CRAWLS_AT_A_TIME = 4
CHECK_AFTER_MS = 60_000
MAX_PAGES_OF_PATH = 20
"""Pages that differ only behind the question mark: calendars and sessions have no end of them."""

_C, _U = WEB_CRAWLS, WEB_CRAWL_URLS
_CRAWL: Any = bindparam("crawl")
_NOW: Any = bindparam("now")
_CREATE = insert(_C)
_LOAD = select(_C).where(_C.c.id == _CRAWL, _C.c.project_id == bindparam("project"))
_NEWEST = select(_C).where(_C.c.project_id == bindparam("project")).order_by(_C.c.seq.desc()).limit(bindparam("most"))
_COUNT_ACTIVE = select(func.count()).select_from(_C).where(_C.c.project_id == bindparam("project"), IS_CRAWLED_NOW)
_FIND_ACTIVE = select(_C).where(_C.c.id == _CRAWL, IS_CRAWLED_NOW)
_LOCK_ACTIVE = _FIND_ACTIVE.with_for_update()
_COUNT_UP = (
    update(_C)
    .where(_C.c.id == _CRAWL)
    .values(urls=_C.c.urls + bindparam("more_urls"), bytes=_C.c.bytes + bindparam("more_bytes"))
)
_END = (
    update(_C)
    .where(_C.c.id == _CRAWL, IS_CRAWLED_NOW)
    .values(status=bindparam("new_status"), error=bindparam("new_error"), ended_at=_NOW)
    .returning(_C.c.id)
)
_PENDING = (
    select(_U)
    .where(_U.c.crawl_id == _CRAWL, _U.c.status == UrlStatus.PENDING.value)
    .order_by(_U.c.position)
    .limit(bindparam("most"))
)
_ENDED_URLS = select(_U).where(_U.c.crawl_id == _CRAWL, _U.c.status != UrlStatus.PENDING.value).order_by(_U.c.position)
_KNOWN = select(_U.c.page_id).where(_U.c.crawl_id == _CRAWL, _U.c.page_id.in_(bindparam("pages", expanding=True)))
_OF_PATHS = (
    select(_U.c.path, func.count().label("known"))
    .where(_U.c.crawl_id == _CRAWL, _U.c.path.in_(bindparam("paths", expanding=True)))
    .group_by(_U.c.path)
)
_ADD_URL = insert(_U)
_END_URL = (
    update(_U)
    .where(_U.c.crawl_id == _CRAWL, _U.c.page_id == bindparam("page"), _U.c.status == UrlStatus.PENDING.value)
    .values(status=bindparam("new_status"), error=bindparam("new_error"))
)
_GIVE_UP = (
    update(_U)
    .where(_U.c.crawl_id == _CRAWL, _U.c.status == UrlStatus.PENDING.value)
    .values(status=UrlStatus.FAILED.value, error=bindparam("new_error"))
)
_DUE = (
    select(_C)
    .where(IS_CRAWLED_NOW, _C.c.next_check_at <= _NOW)
    .order_by(_C.c.next_check_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CHECK_LATER = update(_C).where(_C.c.seq == bindparam("of_seq")).values(next_check_at=bindparam("check_at"))
_OF_PROJECT = select(_C.c.id).where(_C.c.project_id == bindparam("project"))
_FORGET = (
    delete(_U).where(_U.c.crawl_id.in_(_OF_PROJECT)),
    delete(_C).where(_C.c.project_id == bindparam("project")),
)


@dataclass(frozen=True)
class CrawledPage:
    """A page that is in the index. `page` has the columns of its row, `links` those to follow from it."""

    page: dict[str, Any]
    links: Sequence[str]


def create(
    connection: Connection,
    project_id: str,
    body: CrawlRequest,
    embedding_model: str | None,
    dimensions: int,
    max_urls: int = MAX_URLS,
) -> WebCrawl:
    """Begin a crawl of the project's collection, which is made if there is none. Raises `InvalidRequest`."""
    roots = list(dict.fromkeys(canonical(url) or url for url in body.root_urls))
    if len(roots) > max_urls:
        raise InvalidRequest(f"A crawl reads {max_urls} pages at most. Give fewer roots.", "root_urls")
    collection = web_collections.lock_or_create(connection, project_id, body.description, embedding_model, dimensions)
    if (connection.scalar(_COUNT_ACTIVE, {"project": project_id}) or 0) >= MAX_CRAWLS_AT_A_TIME:
        raise InvalidRequest(
            f"This project crawls {MAX_CRAWLS_AT_A_TIME} times already. Wait until one of them has ended.",
            code="too_many_crawls",
        )
    crawl_id = new_id(Prefix.WEB_CRAWL)
    row = {
        "id": crawl_id,
        "project_id": project_id,
        "store_id": collection.store_id,
        "status": CrawlStatus.IN_PROGRESS.value,
        "root_urls": roots,
        "constrain_to_root_domain": body.constrain_to_root_domain,
        "max_depth": body.max_depth,
        "created_at": now_seconds(),
        "next_check_at": now_ms() + CHECK_AFTER_MS,
    }
    connection.execute(_CREATE, row)
    _add_urls(connection, connection.execute(_FIND_ACTIVE, {"crawl": crawl_id}).one(), roots, 0, max_urls)
    return load(connection, project_id, crawl_id)


def load(connection: Connection, project_id: str, crawl_id: str) -> WebCrawl:
    """Raises `NotFound`."""
    row = connection.execute(_LOAD, {"crawl": crawl_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, crawl_id)
    return to_crawl(row)


def newest(connection: Connection, project_id: str, limit: int) -> list[WebCrawl]:
    rows = connection.execute(_NEWEST, {"project": project_id, "most": limit})
    return [to_crawl(row) for row in rows]


def infos(connection: Connection, crawl_id: str) -> list[CrawlInfo]:
    """The URLs that were read or failed, in the order in which they were found."""
    rows = connection.execute(_ENDED_URLS, {"crawl": crawl_id})
    return [CrawlInfo(url=row.url, error=row.error, depth=row.depth) for row in rows]


def find_active(connection: Connection, crawl_id: str) -> AnyRow | None:
    """None: it has ended, or its collection was forgotten."""
    return connection.execute(_FIND_ACTIVE, {"crawl": crawl_id}).one_or_none()


def pending(connection: Connection, crawl_id: str, limit: int) -> Sequence[AnyRow]:
    return connection.execute(_PENDING, {"crawl": crawl_id, "most": limit}).all()


def store_page(connection: Connection, url: AnyRow, read: CrawledPage, max_urls: int) -> bool:
    """Store a page and the links from it, up to `max_urls` of the crawl.

    False: the page is not stored, as the crawl is no longer active, or another one has read the page since.
    """
    crawl = connection.execute(_LOCK_ACTIVE, {"crawl": url.crawl_id}).one_or_none()
    if crawl is None:
        return False
    is_stored = web_collections.store_page(connection, crawl.project_id, crawl.store_id, read.page)
    _end_url(connection, url, UrlStatus.READ, None)
    if url.depth < crawl.max_depth:
        _add_urls(connection, crawl, read.links, url.depth + 1, max_urls)
    return is_stored


def count_fetched(connection: Connection, crawl_id: str, size: int) -> None:
    """Count what was fetched for a crawl, whatever became of it."""
    connection.execute(_COUNT_UP, {"crawl": crawl_id, "more_urls": 0, "more_bytes": size})


def fail_url(connection: Connection, url: AnyRow, error: str) -> None:
    _end_url(connection, url, UrlStatus.FAILED, error)


def give_up(connection: Connection, crawl_id: str, error: str) -> None:
    """Read no further URLs of a crawl."""
    connection.execute(_GIVE_UP, {"crawl": crawl_id, "new_error": error})


def end(connection: Connection, ended: CrawlEnd) -> bool:
    """False: it has ended before, or was forgotten."""
    changes = {"new_status": ended.status.value, "new_error": ended.error, "now": now_seconds()}
    return connection.execute(_END, {"crawl": ended.crawl_id} | changes).one_or_none() is not None


def take_due(connection: Connection, limit: int, later_ms: int) -> Sequence[AnyRow]:
    """Active crawls that the reconciler has to look at now; next time after `later_ms`."""
    now = now_ms()
    rows = connection.execute(_DUE, {"now": now, "most": limit}).all()
    if rows:
        connection.execute(_CHECK_LATER, [{"of_seq": row.seq, "check_at": now + later_ms} for row in rows])
    return rows


def forget(connection: Connection, project_id: str) -> None:
    """Delete the project's crawls, those that are active as well."""
    for part in _FORGET:
        connection.execute(part, {"project": project_id})


def page_id_of(url: str) -> str:
    return derived_id(Prefix.WEB_PAGE, url)


def to_crawl(row: AnyRow) -> WebCrawl:
    return WebCrawl(
        id=row.id,
        status=row.status,
        root_urls=row.root_urls,
        constrain_to_root_domain=row.constrain_to_root_domain,
        max_depth=row.max_depth,
        created_at=row.created_at,
        ended_at=row.ended_at,
        error=row.error,
        urls=row.urls,
        bytes=row.bytes,
    )


def _end_url(connection: Connection, url: AnyRow, status: UrlStatus, error: str | None) -> None:
    changes = {"new_status": status.value, "new_error": error}
    connection.execute(_END_URL, {"crawl": url.crawl_id, "page": url.page_id} | changes)


def _add_urls(connection: Connection, crawl: AnyRow, urls: Sequence[str], depth: int, most: int) -> None:
    """Add those that the crawl does not know, as many as it may still have."""
    by_id = {page_id_of(url): url for url in urls}
    known = set(connection.scalars(_KNOWN, {"crawl": crawl.id, "pages": list(by_id)})) if by_id else set()
    new = [(page_id, url, _path(url)) for page_id, url in by_id.items() if page_id not in known]
    taken = _of_paths(connection, crawl.id, {path for _, _, path in new})
    added: list[dict[str, Any]] = []
    for page_id, url, path in new:
        taken[path] = taken.get(path, 0) + 1
        if taken[path] > MAX_PAGES_OF_PATH or crawl.urls + len(added) >= most:
            continue
        position = crawl.urls + len(added)
        place = {"crawl_id": crawl.id, "project_id": crawl.project_id, "page_id": page_id, "position": position}
        added.append(place | {"url": url, "path": path, "depth": depth, "status": UrlStatus.PENDING.value})
    if added:
        connection.execute(_ADD_URL, added)
        connection.execute(_COUNT_UP, {"crawl": crawl.id, "more_urls": len(added), "more_bytes": 0})


def _of_paths(connection: Connection, crawl_id: str, paths: set[str]) -> dict[str, int]:
    if not paths:
        return {}
    rows = connection.execute(_OF_PATHS, {"crawl": crawl_id, "paths": list(paths)})
    return {row.path: row.known for row in rows}


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"
