"""Databases that one test has after the other."""

import psycopg
import pytest

from infra.database import assistants
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from models.assistants import CreateAssistantRequest
from tests.conftest import NewDatabase
from tests.database import writing
from tests.postgres import reused
from tests.postgres.reused import ReusedDatabases


def test_database_is_lent_again_when_it_is_empty(new_postgres_database: NewDatabase) -> None:
    databases = ReusedDatabases(new_postgres_database)
    with databases.lend() as url:
        database = Database(create_engine(url, Limits()))
        with writing(database) as connection:
            assistants.create(connection, "default", CreateAssistantRequest(model="m"))
        database.engine.dispose()

    with databases.lend() as again, psycopg.connect(again) as found:
        assert again == url
        assert found.execute("SELECT count(*) FROM assistants").fetchone() == (0,)


def test_database_whose_rows_are_locked_is_not_lent_again(
    new_postgres_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reused, "LOCK_TIMEOUT_MS", 1)
    databases = ReusedDatabases(new_postgres_database)
    with databases.lend() as url:
        locking = psycopg.connect(url)
        locking.execute("LOCK TABLE assistants")

    with locking, databases.lend() as other:
        assert other != url
