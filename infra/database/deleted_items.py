"""The places of deleted objects in their lists, kept for a day so that their ids remain valid cursors."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select

from infra.clock import now_seconds
from infra.database.tables import DELETED_ITEMS

KEPT_FOR = timedelta(days=1)
# More than the one item that each deletion adds, so that no aged items accumulate.
FORGOTTEN_AT_A_TIME = 10

_AGED = (
    select(DELETED_ITEMS.c.id)
    .where(DELETED_ITEMS.c.deleted_at < bindparam("before"))
    .order_by(DELETED_ITEMS.c.deleted_at)
    .limit(FORGOTTEN_AT_A_TIME)
    # Items that another deletion has locked are left to it.
    .with_for_update(skip_locked=True)
)
_FORGET = delete(DELETED_ITEMS).where(DELETED_ITEMS.c.id.in_(_AGED))
_FORGET_ONE = delete(DELETED_ITEMS).where(DELETED_ITEMS.c.id == bindparam("item"))
_REMEMBER = insert(DELETED_ITEMS)
_SEQ = select(DELETED_ITEMS.c.seq, DELETED_ITEMS.c.project_id, DELETED_ITEMS.c.thread_id).where(
    DELETED_ITEMS.c.id == bindparam("id")
)


def remember(connection: Connection, project_id: str, thread_id: str | None, object_id: str, seq: int) -> None:
    """Store the place of a deleted object, a message's with its `thread_id`; delete some aged items."""
    now = now_seconds()
    connection.execute(_FORGET, {"before": now - int(KEPT_FOR.total_seconds())})
    connection.execute(
        _REMEMBER,
        {"id": object_id, "project_id": project_id, "thread_id": thread_id, "seq": seq, "deleted_at": now},
    )


def forget(connection: Connection, object_id: str) -> None:
    """Of an object that may be deleted more than once."""
    connection.execute(_FORGET_ONE, {"item": object_id})


def seq_of(connection: Connection, object_id: str, scope: Mapping[str, object]) -> int | None:
    """The place of an object that was deleted from the list in `scope`. None: unknown, or aged."""
    found = connection.execute(_SEQ, {"id": object_id}).one_or_none()
    if found is None or any(getattr(found, name) != value for name, value in scope.items()):
        return None
    return int(found.seq)
