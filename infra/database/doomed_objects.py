"""The keys of objects whose row was deleted: written in the same transaction, removed once the bytes are gone too.

So a process that dies between the two, or a store that does not answer, leaves no bytes behind.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as insert_on_postgres
from sqlalchemy.dialects.sqlite import insert as insert_on_sqlite

from infra.clock import now_seconds
from infra.database.connections import POSTGRES, SQLITE
from infra.database.file_tables import DOOMED_OBJECTS

_ADD = {
    SQLITE: insert_on_sqlite(DOOMED_OBJECTS).on_conflict_do_nothing(),
    POSTGRES: insert_on_postgres(DOOMED_OBJECTS).on_conflict_do_nothing(),
}
_OLDEST = (
    select(DOOMED_OBJECTS.c.key)
    .where(DOOMED_OBJECTS.c.deleted_at <= bindparam("before"))
    .order_by(DOOMED_OBJECTS.c.deleted_at)
    .limit(bindparam("most"))
)
_REMOVE = delete(DOOMED_OBJECTS).where(DOOMED_OBJECTS.c.key.in_(bindparam("keys", expanding=True)))


def add(connection: Connection, project_id: str, keys: Iterable[str]) -> None:
    """Let the bytes under `keys` be deleted. Nothing may ever be stored under them again."""
    now = now_seconds()
    rows = [{"key": key, "project_id": project_id, "deleted_at": now} for key in keys]
    if rows:
        connection.execute(_ADD[connection.dialect.name], rows)


def oldest(connection: Connection, before: int, limit: int) -> Sequence[str]:
    """Keys that were added before a time (seconds), the oldest first."""
    return connection.scalars(_OLDEST, {"before": before, "most": limit}).all()


def remove(connection: Connection, keys: Sequence[str]) -> None:
    """Forget keys whose bytes are gone."""
    if keys:
        connection.execute(_REMOVE, {"keys": list(keys)})
