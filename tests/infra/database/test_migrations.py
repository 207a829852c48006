from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.schema import CreateIndex

from infra.database.migrations import alembic_config, migrate
from infra.database.tables import Table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdfast.db"


def test_migrations_make_the_tables_of_the_code(path: Path) -> None:
    config = alembic_config(f"sqlite+aiosqlite:///{path}")

    command.upgrade(config, "head")

    # Raises where the two differ.
    command.check(config)
    assert set(names(path)) == {*Table.metadata.tables, "alembic_version"}


def test_migrating_twice_changes_nothing(path: Path) -> None:
    url = f"sqlite+aiosqlite:///{path}"
    migrate(url)
    before = schema(path)

    migrate(url)

    assert schema(path) == before


def test_migrations_lead_back(path: Path) -> None:
    config = alembic_config(f"sqlite+aiosqlite:///{path}")
    command.upgrade(config, "head")

    command.downgrade(config, "base")

    assert names(path) == ["alembic_version"]


def test_a_step_back_leaves_the_tables_as_they_were(path: Path) -> None:
    config = alembic_config(f"sqlite+aiosqlite:///{path}")
    command.upgrade(config, "0001")
    before = schema(path)

    command.upgrade(config, "0002")
    command.downgrade(config, "0001")

    assert schema(path) == before


def test_messages_of_older_databases_are_counted(path: Path) -> None:
    config = alembic_config(f"sqlite+aiosqlite:///{path}")
    command.upgrade(config, "0001")
    with create_engine(f"sqlite:///{path}").begin() as connection:
        for thread, messages in (("thread_none", 0), ("thread_two", 2)):
            insert(connection, "threads", id=thread, on_active_run="reject", has_queue=False)
            for number in range(messages):
                insert(connection, "messages", id=f"{thread}-{number}", thread_id=thread)

    command.upgrade(config, "head")

    with create_engine(f"sqlite:///{path}").connect() as connection:
        counted = connection.exec_driver_sql("SELECT id, message_count FROM threads").all()
    assert dict(map(tuple, counted)) == {"thread_none": 0, "thread_two": 2}


def test_a_thread_of_an_older_version_can_be_added_to_the_newest_schema(path: Path) -> None:
    """While a server is upgraded, its older processes still write."""
    migrate(f"sqlite+aiosqlite:///{path}")

    with create_engine(f"sqlite:///{path}").begin() as connection:
        insert(connection, "threads", id="thread_x", on_active_run="reject", has_queue=False)
        count = connection.exec_driver_sql("SELECT message_count FROM threads").scalar()

    assert count == 0


def test_partial_indexes_are_those_of_the_code(path: Path) -> None:
    """Alembic's comparison does not look at the condition of an index."""
    migrate(f"sqlite+aiosqlite:///{path}")

    made = {"".join(line.split()) for line in schema(path) if "INDEX" in line}

    for table in Table.metadata.tables.values():
        for index in table.indexes:
            assert "".join(str(CreateIndex(index).compile(dialect=create_engine("sqlite://").dialect)).split()) in made


@pytest.mark.parametrize("table", Table.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_row_carries_its_project(table: object) -> None:
    assert "project_id" in table.columns  # type: ignore[attr-defined]


def insert(connection: Connection, table: str, **fields: object) -> None:
    """Insert a row; what it must have beside `fields` is filled in."""
    columns = inspect(connection).get_columns(table)
    needed = [c["name"] for c in columns if not c["nullable"] and c["default"] is None and c["name"] != "seq"]
    row = dict.fromkeys(needed, 0) | fields
    places = ", ".join("?" for _ in row)
    connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))


def names(path: Path) -> list[str]:
    return sorted(inspect(create_engine(f"sqlite:///{path}")).get_table_names())


def schema(path: Path) -> list[str]:
    """The statements that made what is in the database."""
    with create_engine(f"sqlite:///{path}").connect() as connection:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [row.sql for row in rows]
