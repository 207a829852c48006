"""A project's pages of the web: the collection, and the pages that its web retrievals search."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_on_postgres
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite

from infra.clock import now_seconds
from infra.database import index_deletions
from infra.database.columns import AnyRow
from infra.database.connections import POSTGRES, SQLITE
from infra.database.run_tables import RUNS
from infra.database.web_tables import WEB_COLLECTIONS, WEB_PAGES
from models.ids import Prefix, new_dated_id
from models.search_index import IndexedFile, IndexedStore
from models.web_domains import is_in_domains

_PROJECT: Any = bindparam("project")
_STORE: Any = bindparam("store")
_P = WEB_PAGES
_OF_PROJECT = select(WEB_COLLECTIONS).where(WEB_COLLECTIONS.c.project_id == _PROJECT)
_OF_RUN = (
    select(WEB_COLLECTIONS)
    .join_from(RUNS, WEB_COLLECTIONS, WEB_COLLECTIONS.c.project_id == RUNS.c.project_id)
    .where(RUNS.c.id == bindparam("run"))
)
# Two crawls of a project may be its first, and two may read the same page: each waits for the other's commit.
_CREATE = {
    SQLITE: insert_on_sqlite(WEB_COLLECTIONS).on_conflict_do_nothing(),
    POSTGRES: insert_on_postgres(WEB_COLLECTIONS).on_conflict_do_nothing(),
}
_DESCRIBE = (
    update(WEB_COLLECTIONS)
    .where(WEB_COLLECTIONS.c.project_id == _PROJECT)
    .values(description=bindparam("new_description"))
)
_FORGET = delete(WEB_COLLECTIONS).where(WEB_COLLECTIONS.c.project_id == _PROJECT)
_FORGET_PAGES = delete(WEB_PAGES).where(WEB_PAGES.c.store_id == _STORE)
_PAGES = select(_P.c.id, _P.c.generation, _P.c.url).where(_P.c.store_id == _STORE).limit(bindparam("most"))
_NAMED = select(_P).where(_P.c.store_id == _STORE, _P.c.id.in_(bindparam("pages", expanding=True)))
_COUNT = select(func.count()).select_from(_P).where(_P.c.store_id == _STORE)


def _or_replace(insert: Any) -> Any:
    read = {name: insert.excluded[name] for name in ("url", "host", "title", "depth", "generation", "chunks")}
    is_newer = _P.c.generation <= insert.excluded.generation
    return insert.on_conflict_do_update(index_elements=[_P.c.store_id, _P.c.id], set_=read, where=is_newer).returning(
        _P.c.id
    )


_STORE_PAGE = {SQLITE: _or_replace(insert_on_sqlite(_P)), POSTGRES: _or_replace(insert_on_postgres(_P))}


def is_there(connection: Connection, project_id: str, store_id: str) -> bool:
    """Whether the project still has this collection: one that was forgotten and begun anew has another store."""
    row = find(connection, project_id)
    return row is not None and bool(row.store_id == store_id)


def find(connection: Connection, project_id: str) -> AnyRow | None:
    return connection.execute(_OF_PROJECT, {"project": project_id}).one_or_none()


def of_run(connection: Connection, run_id: str) -> AnyRow | None:
    """That of the run's project."""
    return connection.execute(_OF_RUN, {"run": run_id}).one_or_none()


def lock_or_create(
    connection: Connection, project_id: str, description: str | None, embedding_model: str | None, dimensions: int
) -> AnyRow:
    """The project's collection. A description replaces the one before; None keeps it."""
    lock = _OF_PROJECT.with_for_update()
    if connection.execute(lock, {"project": project_id}).one_or_none() is None:
        now = now_seconds()
        row = {
            "project_id": project_id,
            "store_id": new_dated_id(Prefix.VECTOR_STORE, now),
            "embedding_model": embedding_model,
            "dimensions": dimensions,
            "created_at": now,
        }
        connection.execute(_CREATE[connection.dialect.name], row)
    if description is not None:
        connection.execute(_DESCRIBE, {"project": project_id, "new_description": description})
    return connection.execute(lock, {"project": project_id}).one()


def forget(connection: Connection, project_id: str) -> IndexedStore | None:
    """Delete the collection with its pages, and have its index dropped. None: there is none."""
    row = connection.execute(_OF_PROJECT.with_for_update(), {"project": project_id}).one_or_none()
    if row is None:
        return None
    connection.execute(_FORGET_PAGES, {"store": row.store_id})
    connection.execute(_FORGET, {"project": project_id})
    index_deletions.add(connection, project_id, indexed(row), None)
    return indexed(row)


def searchable(
    connection: Connection, store_id: str, domains: Collection[str] | None, limit: int
) -> Sequence[IndexedFile]:
    """Up to `limit` pages, of the domains alone if there are any, as they are to be found in the index."""
    rows = connection.execute(_of_domains(domains), {"store": store_id, "most": limit})
    return [IndexedFile(row.id, row.generation) for row in rows if domains is None or is_in_domains(row.url, domains)]


def named(connection: Connection, store_id: str, page_ids: Collection[str]) -> Mapping[str, AnyRow]:
    """Pages by their ids. One that is gone is missing."""
    rows = connection.execute(_NAMED, {"store": store_id, "pages": list(page_ids)}) if page_ids else ()
    return {row.id: row for row in rows}


def count_pages(connection: Connection, store_id: str) -> int:
    return int(connection.scalar(_COUNT, {"store": store_id}) or 0)


def store_page(connection: Connection, project_id: str, store_id: str, page: Mapping[str, Any]) -> bool:
    """`page` has the columns of `WEB_PAGES`; one that was read before is replaced. False: a newer one is left."""
    row = {"project_id": project_id, "store_id": store_id} | dict(page)
    return connection.scalar(_STORE_PAGE[connection.dialect.name], row) is not None


def indexed(row: AnyRow) -> IndexedStore:
    return IndexedStore(row.store_id, row.embedding_model, row.dimensions)


def _of_domains(domains: Collection[str] | None) -> Any:
    if domains is None:
        return _PAGES
    conditions = [_P.c.host.in_(list(domains)), *(_P.c.host.endswith(f".{each}", autoescape=True) for each in domains)]
    return _PAGES.where(or_(*conditions))
