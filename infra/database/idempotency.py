"""The responses to requests with an idempotency key, kept for a day."""

from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from infra.clock import now_seconds
from infra.database.tables import IDEMPOTENCY_KEYS
from models.errors import IdempotencyKeyReused

KEPT_FOR = timedelta(hours=24)
# More than the one key that each request adds, so that no aged keys accumulate.
FORGOTTEN_AT_A_TIME = 10

_COLUMNS = IDEMPOTENCY_KEYS.c
_THIS = (_COLUMNS.project_id == bindparam("project"), _COLUMNS.key == bindparam("this_key"))
_IS_AGED = _COLUMNS.created_at < bindparam("before")
_LOAD = select(_COLUMNS.fingerprint, _COLUMNS.answer).where(*_THIS)
_REMEMBER = update(IDEMPOTENCY_KEYS).where(*_THIS).values(answer=bindparam("given_answer"))
_FORGET_THIS = delete(IDEMPOTENCY_KEYS).where(_IS_AGED, *_THIS)
_OLDEST = (
    select(_COLUMNS.project_id, _COLUMNS.key)
    .where(_IS_AGED)
    .order_by(_COLUMNS.created_at)
    .limit(FORGOTTEN_AT_A_TIME)
    .with_for_update(skip_locked=True)
)
_FORGET = delete(IDEMPOTENCY_KEYS).where(
    tuple_(_COLUMNS.project_id, _COLUMNS.key).in_(bindparam("keys", expanding=True))
)
# Waits for a concurrent request with the same key.
_TAKE = {
    "sqlite": sqlite.insert(IDEMPOTENCY_KEYS).on_conflict_do_nothing().returning(_COLUMNS.key),
    "postgresql": postgresql.insert(IDEMPOTENCY_KEYS).on_conflict_do_nothing().returning(_COLUMNS.key),
}


def answered(connection: Connection, project_id: str, key: str, fingerprint: str) -> str | None:
    """The response to an earlier request with this key, as JSON. None: this is the first one, and takes the key.

    Waits for a concurrent request with the same key. Raises `IdempotencyKeyReused` if the key was used with a different
    request.
    """
    _forget_aged(connection, project_id, key)
    values = {"project_id": project_id, "key": key, "fingerprint": fingerprint, "answer": ""}
    taken = connection.execute(_TAKE[connection.dialect.name], {**values, "created_at": now_seconds()}).one_or_none()
    if taken is not None:
        return None
    row = connection.execute(_LOAD, {"project": project_id, "this_key": key}).one()
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused(key)
    return str(row.answer)


def remember(connection: Connection, project_id: str, key: str, answer: str) -> None:
    """Store the response of the request that took the key, in the transaction of the request."""
    connection.execute(_REMEMBER, {"project": project_id, "this_key": key, "given_answer": answer})


def _forget_aged(connection: Connection, project_id: str, key: str) -> None:
    before = {"before": now_seconds() - int(KEPT_FOR.total_seconds())}
    connection.execute(_FORGET_THIS, {**before, "project": project_id, "this_key": key})
    if found := [tuple(row) for row in connection.execute(_OLDEST, before)]:
        connection.execute(_FORGET, {"keys": found})
