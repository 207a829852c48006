"""The files of an assistant as v1 had them: the first ones of its vector store."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, bindparam, select

from infra.database.vector_store_tables import VECTOR_STORE_FILES

MAX_FILES = 20

_F = VECTOR_STORE_FILES
_FIRST = (
    select(_F.c.id)
    .where(_F.c.store_id == bindparam("store"), _F.c.project_id == bindparam("project"))
    .order_by(_F.c.seq)
    .limit(MAX_FILES)
)


def of_store(connection: Connection, project_id: str, store_id: str) -> Sequence[str]:
    return connection.scalars(_FIRST, {"store": store_id, "project": project_id}).all()


def of_stores(connection: Connection, project_id: str, store_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
    """One query for each store: a common one would read all files of the large ones."""
    return {store_id: of_store(connection, project_id, store_id) for store_id in store_ids}
