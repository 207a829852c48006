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


def count(database: Database, thread_id: str) -> int:
    with reading(database) as connection:
        query = select(func.count()).where(DELETED_ITEMS.c.thread_id == thread_id)
        return connection.scalar(query) or 0


def remember(database: Database, thread_id: str, number: int) -> None:
    with writing(database) as connection:
        for position in range(number):
            deleted_items.remember(connection, PROJECT, thread_id, f"{thread_id}-msg-{position}", position)


def test_each_deletion_forgets_more_aged_items_than_it_adds(database: Database) -> None:
    remember(database, "thread_old", FORGOTTEN_AT_A_TIME + 5)
    with writing(database) as connection:
        long_ago = now_seconds() - int(KEPT_FOR.total_seconds()) - 1
        connection.execute(update(DELETED_ITEMS).values(deleted_at=long_ago))

    remember(database, "thread_new", 1)
    left_after_one = count(database, "thread_old")
    remember(database, "thread_newer", 1)

    assert left_after_one == 5
    assert count(database, "thread_old") == 0
    assert count(database, "thread_new") == 1


def test_new_deletions_are_remembered(database: Database) -> None:
    remember(database, "thread_fresh", 3 * FORGOTTEN_AT_A_TIME)

    assert count(database, "thread_fresh") == 3 * FORGOTTEN_AT_A_TIME


def test_deleted_thread_leaves_nothing_remembered(database: Database) -> None:
    hello = CreateMessageRequest(role="user", content="Hello")
    with writing(database) as connection:
        thread = threads.create(connection, PROJECT, CreateThreadRequest())
        [message] = messages.add(connection, PROJECT, thread.id, [hello])
        messages.remove(connection, PROJECT, thread.id, message.id)
    remembered = count(database, thread.id)

    with writing(database) as connection:
        threads.remove(connection, PROJECT, thread.id)

    assert (remembered, count(database, thread.id)) == (1, 0)
