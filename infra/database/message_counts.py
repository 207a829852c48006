"""The number of messages of each thread: a column of its row, updated by the transactions that add and delete them."""

from sqlalchemy import ColumnElement, Connection, Update, bindparam, update

from infra.database.thread_tables import THREADS
from models.thread_errors import ThreadFull
from models.threads import MAX_THREAD_MESSAGES


def _change(*guards: ColumnElement[bool]) -> Update:
    # Relative, so that concurrent transactions count correctly.
    return (
        update(THREADS)
        .where(THREADS.c.id == bindparam("thread"), *guards)
        .values(message_count=THREADS.c.message_count + bindparam("change"))
        .returning(THREADS.c.message_count)
    )


_CHANGE = _change()
_CHANGE_WITHIN_LIMIT = _change(THREADS.c.message_count + bindparam("change") <= MAX_THREAD_MESSAGES)


def make_room(connection: Connection, thread_id: str, number: int) -> int:
    """Count messages that are about to be added. Returns the new number. Raises `ThreadFull`."""
    count: int | None = connection.scalar(_CHANGE_WITHIN_LIMIT, {"thread": thread_id, "change": number})
    if count is None:
        raise ThreadFull(MAX_THREAD_MESSAGES)
    return count


def count_answer(connection: Connection, thread_id: str) -> None:
    """Count an assistant's message. It may exceed the limit: a run must not fail at its end."""
    connection.execute(_CHANGE, {"thread": thread_id, "change": 1})


def count_deletion(connection: Connection, thread_id: str) -> None:
    connection.execute(_CHANGE, {"thread": thread_id, "change": -1})
