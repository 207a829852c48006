from sqlalchemy import func, select, update

from infra.clock import now_seconds
from infra.database import deleted_items, messages, threads
from infra.database.deleted_items import FORGOTTEN_AT_A_TIME, KEPT_FOR
from infra.database.engine import Database
from infra.database.tables import DELETED_ITEMS
from models.messages import CreateMessageRequest
from models.threads import CreateThreadRequest
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT


async def count(database: Database, thread_id: str) -> int:
    with reading(database) as connection:
        query = select(func.count()).where(DELETED_ITEMS.c.thread_id == thread_id)
        return connection.scalar(query) or 0


async def remember(database: Database, thread_id: str, number: int) -> None:
    with writing(database) as connection:
        for position in range(number):
            deleted_items.remember(connection, PROJECT, thread_id, f"{thread_id}-msg-{position}", position)


async def test_each_deletion_forgets_more_than_it_adds_of_what_has_aged(database: Database) -> None:
    await remember(database, "thread_old", FORGOTTEN_AT_A_TIME + 5)
    with writing(database) as connection:
        long_ago = now_seconds() - int(KEPT_FOR.total_seconds()) - 1
        connection.execute(update(DELETED_ITEMS).values(deleted_at=long_ago))

    await remember(database, "thread_new", 1)
    left_after_one = await count(database, "thread_old")
    await remember(database, "thread_newer", 1)

    assert left_after_one == 5
    assert await count(database, "thread_old") == 0
    assert await count(database, "thread_new") == 1


async def test_what_is_fresh_is_kept(database: Database) -> None:
    await remember(database, "thread_fresh", 3 * FORGOTTEN_AT_A_TIME)

    assert await count(database, "thread_fresh") == 3 * FORGOTTEN_AT_A_TIME


async def test_deleted_thread_leaves_nothing_remembered(database: Database) -> None:
    hello = CreateMessageRequest(role="user", content="Hello")
    with writing(database) as connection:
        thread = threads.create(connection, PROJECT, CreateThreadRequest())
        [message] = messages.add(connection, PROJECT, thread.id, [hello])
        messages.remove(connection, PROJECT, thread.id, message.id)
    remembered = await count(database, thread.id)

    with writing(database) as connection:
        threads.remove(connection, PROJECT, thread.id)

    assert (remembered, await count(database, thread.id)) == (1, 0)
