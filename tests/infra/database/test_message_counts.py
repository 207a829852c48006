import pytest
from sqlalchemy import func, select, update

from infra.database import messages, threads
from infra.database.engine import Database
from infra.database.tables import MESSAGES, THREADS
from models.errors import NotFound, ThreadFull
from models.messages import CreateMessageRequest
from models.threads import MAX_THREAD_MESSAGES, CreateThreadRequest
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT, Stored

HELLO = CreateMessageRequest(role="user", content="Hello")


async def test_messages_are_counted_as_they_come_and_go(database: Database) -> None:
    with writing(database) as connection:
        thread = threads.create(connection, PROJECT, CreateThreadRequest(messages=[HELLO, HELLO]))
        created = await counts(session, thread.id)
        [added] = messages.add(connection, PROJECT, thread.id, [HELLO])
        longer = await counts(session, thread.id)
        messages.remove(connection, PROJECT, thread.id, added.id)
        shorter = await counts(session, thread.id)

    assert (created, longer, shorter) == ((2, 2), (3, 3), (2, 2))


async def test_a_message_that_is_not_there_is_not_counted_off(database: Database, stored: Stored) -> None:
    with pytest.raises(NotFound), writing(database) as connection:
        messages.remove(connection, PROJECT, stored.thread_id, "msg_x")

    with reading(database) as connection:
        assert await counts(session, stored.thread_id) == (1, 1)


async def test_a_thread_takes_messages_up_to_its_limit(database: Database, stored: Stored) -> None:
    await count_up_to(database, stored.thread_id, MAX_THREAD_MESSAGES - 2)

    with pytest.raises(ThreadFull, match="at most 100000 messages"):
        await add(database, stored.thread_id, 3)
    await add(database, stored.thread_id, 2)
    with pytest.raises(ThreadFull):
        await add(database, stored.thread_id, 1)

    with reading(database) as connection:
        assert await counts(session, stored.thread_id) == (MAX_THREAD_MESSAGES, 3)


async def test_a_deleted_message_makes_room_for_another(database: Database, stored: Stored) -> None:
    with writing(database) as connection:
        [message] = messages.add(connection, PROJECT, stored.thread_id, [HELLO])
    await count_up_to(database, stored.thread_id, MAX_THREAD_MESSAGES)

    with writing(database) as connection:
        messages.remove(connection, PROJECT, stored.thread_id, message.id)
        messages.add(connection, PROJECT, stored.thread_id, [HELLO])

    with reading(database) as connection:
        assert await counts(session, stored.thread_id) == (MAX_THREAD_MESSAGES, 2)


async def test_a_new_thread_has_the_same_limit(database: Database) -> None:
    too_many = CreateThreadRequest.model_construct(messages=[HELLO] * (MAX_THREAD_MESSAGES + 1))

    with pytest.raises(ThreadFull), writing(database) as connection:
        threads.create(connection, PROJECT, too_many)


async def add(database: Database, thread_id: str, number: int) -> None:
    with writing(database) as connection:
        messages.add(connection, PROJECT, thread_id, [HELLO] * number)


async def count_up_to(database: Database, thread_id: str, number: int) -> None:
    """Have the thread say that it holds so many messages, most of which nobody ever wrote."""
    with writing(database) as connection:
        connection.execute(update(THREADS).where(THREADS.c.id == thread_id).values(message_count=number))


async def counts(connection: Connection, thread_id: str) -> tuple[int, int]:
    """The number that the thread bears, and how many messages there are."""
    said = connection.scalar(select(THREADS.c.message_count).where(THREADS.c.id == thread_id))
    there = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.thread_id == thread_id)
    return said or 0, connection.scalar(there) or 0
