import pytest
from sqlalchemy import Connection, func, select, update

from infra.database import messages, threads
from infra.database.engine import Database
from infra.database.thread_tables import MESSAGES, THREADS
from models.errors import NotFound
from models.messages import CreateMessageRequest
from models.thread_errors import ThreadFull
from models.threads import MAX_THREAD_MESSAGES, CreateThreadRequest
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT, Stored

HELLO = CreateMessageRequest(role="user", content="Hello")


def test_messages_are_counted_as_they_come_and_go(database: Database) -> None:
    with writing(database) as connection:
        thread = threads.create(connection, PROJECT, CreateThreadRequest(messages=[HELLO, HELLO]))
        created = counts(connection, thread.id)
        [added] = messages.add(connection, PROJECT, thread.id, [HELLO])
        longer = counts(connection, thread.id)
        messages.remove(connection, PROJECT, thread.id, added.id)
        shorter = counts(connection, thread.id)

    assert (created, longer, shorter) == ((2, 2), (3, 3), (2, 2))


def test_an_unknown_message_does_not_change_the_count(database: Database, stored: Stored) -> None:
    with pytest.raises(NotFound), writing(database) as connection:
        messages.remove(connection, PROJECT, stored.thread_id, "msg_x")

    with reading(database) as connection:
        assert counts(connection, stored.thread_id) == (1, 1)


def test_a_thread_takes_messages_up_to_its_limit(database: Database, stored: Stored) -> None:
    count_up_to(database, stored.thread_id, MAX_THREAD_MESSAGES - 2)

    with pytest.raises(ThreadFull, match="at most 100000 messages"):
        add(database, stored.thread_id, 3)
    add(database, stored.thread_id, 2)
    with pytest.raises(ThreadFull):
        add(database, stored.thread_id, 1)

    with reading(database) as connection:
        assert counts(connection, stored.thread_id) == (MAX_THREAD_MESSAGES, 3)


def test_a_deleted_message_makes_room_for_another(database: Database, stored: Stored) -> None:
    with writing(database) as connection:
        [message] = messages.add(connection, PROJECT, stored.thread_id, [HELLO])
    count_up_to(database, stored.thread_id, MAX_THREAD_MESSAGES)

    with writing(database) as connection:
        messages.remove(connection, PROJECT, stored.thread_id, message.id)
        messages.add(connection, PROJECT, stored.thread_id, [HELLO])

    with reading(database) as connection:
        assert counts(connection, stored.thread_id) == (MAX_THREAD_MESSAGES, 2)


def test_a_new_thread_has_the_same_limit(database: Database) -> None:
    too_many = CreateThreadRequest.model_construct(messages=[HELLO] * (MAX_THREAD_MESSAGES + 1))

    with pytest.raises(ThreadFull), writing(database) as connection:
        threads.create(connection, PROJECT, too_many)


def add(database: Database, thread_id: str, number: int) -> None:
    with writing(database) as connection:
        messages.add(connection, PROJECT, thread_id, [HELLO] * number)


def count_up_to(database: Database, thread_id: str, number: int) -> None:
    """Set the thread's count; most of these messages do not exist."""
    with writing(database) as connection:
        connection.execute(update(THREADS).where(THREADS.c.id == thread_id).values(message_count=number))


def counts(connection: Connection, thread_id: str) -> tuple[int, int]:
    """The count on the thread's row, and the number of its messages."""
    counted = connection.scalar(select(THREADS.c.message_count).where(THREADS.c.id == thread_id))
    existing = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.thread_id == thread_id)
    return counted or 0, connection.scalar(existing) or 0
