import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, NullPool, create_engine, inspect

from infra.database.connections import parse_url
from infra.database.engine import open_database
from infra.database.migrations import alembic_config, migrate
from infra.database.schema_version import check_migrated, revisions
from infra.database.tables import ALL_TABLES
from infra.database.worker_tables import WORKERS
from infra.errors import ConnectionFailed
from tests.postgres.server import PostgresServer

ROOT = Path(__file__).parents[3]
PROCESSES = 2
OLDER_TABLES = {
    "0001": ("threads", "messages", "runs", "run_steps"),
    "0017": ("vector_stores", "vector_store_files"),
}
"""By the version whose columns of them are written."""

NewUrl = Callable[[], str]


@pytest.fixture
def new_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> NewUrl:
    """Names an empty database."""
    if database_kind == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/{len(list(tmp_path.iterdir()))}.db"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.new_database


def test_migrations_make_the_tables_of_the_code(new_url: NewUrl) -> None:
    url = new_url()
    config = alembic_config(url)

    command.upgrade(config, "head")

    # Raises where the two differ.
    command.check(config)
    assert set(names(url)) == {*ALL_TABLES.tables, "alembic_version"}


def test_migrating_twice_changes_nothing(new_url: NewUrl) -> None:
    url = new_url()
    migrate(url)
    before = schema(url)

    migrate(url)

    assert schema(url) == before


@pytest.mark.slow
def test_processes_that_migrate_at_once_do_it_once(new_url: NewUrl) -> None:
    url = new_url()
    program = (sys.executable, "-c", f"from infra.database.migrations import migrate; migrate({url!r})")

    processes = [subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(PROCESSES)]

    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert ends == [(b"", 0)] * PROCESSES
    assert set(names(url)) == {*ALL_TABLES.tables, "alembic_version"}


def test_migrations_lead_back(new_url: NewUrl) -> None:
    url = new_url()
    config = alembic_config(url)
    command.upgrade(config, "head")

    command.downgrade(config, "base")

    assert names(url) == ["alembic_version"]


def test_a_database_of_a_newer_version_is_refused(new_url: NewUrl) -> None:
    url = new_url()
    migrate(url)
    with engine_of(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConnectionFailed, match=r"9999.*A newer version of Holdfast made it"):
        migrate(url)
    with pytest.raises(ConnectionFailed, match=r"at schema 9999.*A newer version of Holdfast made it"):
        asyncio.run(check(url))


def test_a_database_of_an_older_version_is_to_be_migrated(new_url: NewUrl) -> None:
    url = new_url()
    with pytest.raises(ConnectionFailed, match=r"no tables of Holdfast. Run `holdfast migrate`"):
        asyncio.run(check(url))
    command.upgrade(alembic_config(url), "0001")
    with pytest.raises(ConnectionFailed, match=r"at schema 0001, .* Run `holdfast migrate`"):
        asyncio.run(check(url))

    migrate(url)

    asyncio.run(check(url))


def test_a_step_back_leaves_the_tables_as_they_were(new_url: NewUrl) -> None:
    url = new_url()
    config = alembic_config(url)
    command.upgrade(config, "0001")
    before = columns(url)

    command.upgrade(config, "head")
    command.downgrade(config, "0001")

    assert columns(url) == before


def test_messages_of_older_databases_are_counted(new_url: NewUrl) -> None:
    url = new_url()
    config = alembic_config(url)
    command.upgrade(config, "0001")
    with engine_of(url).begin() as connection:
        for thread, messages in (("thread_none", 0), ("thread_two", 2)):
            insert(connection, "threads", id=thread, on_active_run="reject", has_queue=False)
            for number in range(messages):
                insert(connection, "messages", id=f"{thread}-{number}", thread_id=thread)

    command.upgrade(config, "head")

    with engine_of(url).connect() as connection:
        counted = connection.exec_driver_sql("SELECT id, message_count FROM threads").all()
    assert dict(map(tuple, counted)) == {"thread_none": 0, "thread_two": 2}


def test_rows_of_an_older_version_can_be_added_to_the_newest_schema(new_url: NewUrl) -> None:
    """While a server is upgraded, its older processes still write."""
    url = new_url()
    config = alembic_config(url)
    known: dict[str, list[str]] = {}
    for version, tables in OLDER_TABLES.items():
        command.upgrade(config, version)
        found = columns(url)
        known |= {table: found[table] for table in tables}
    command.upgrade(config, "head")

    with engine_of(url).begin() as connection:
        for table in known:
            insert(connection, table, only=known[table], id="x")

    with engine_of(url).connect() as connection:
        rows = {table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in known}
    assert rows == dict.fromkeys(known, 1)


def test_indexes_are_those_of_the_code(new_url: NewUrl) -> None:
    """Alembic's comparison does not look at the condition of an index."""
    migrated, made_from_code = new_url(), new_url()
    migrate(migrated)

    with engine_of(made_from_code).begin() as connection:
        ALL_TABLES.create_all(connection)

    made = {line for line in schema(migrated) if "alembic_version" not in line}
    assert made
    assert made == set(schema(made_from_code))


@pytest.mark.parametrize("table", ALL_TABLES.sorted_tables, ids=lambda table: table.name)
def test_every_row_but_a_worker_carries_its_project(table: sa.Table) -> None:
    assert ("project_id" in table.columns) == (table is not WORKERS)


@pytest.mark.any_database
def test_the_name_of_a_migrations_file_begins_with_its_revision() -> None:
    scripts = ScriptDirectory.from_config(alembic_config(""))

    assert revisions() == [script.revision for script in scripts.walk_revisions()][::-1]


async def check(url: str) -> None:
    async with open_database(url) as database:
        await check_migrated(database)


def engine_of(url: str) -> Engine:
    return create_engine(parse_url(url), poolclass=NullPool)


def names(url: str) -> list[str]:
    return sorted(inspect(engine_of(url)).get_table_names())


def schema(url: str) -> list[str]:
    """The statements that made the indexes in the database."""
    with engine_of(url).connect() as connection:
        return ["".join(statement.split()) for statement in index_statements(connection)]


def index_statements(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    else:
        query = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
    return list(connection.exec_driver_sql(query).scalars())


def columns(url: str) -> dict[str, list[str]]:
    """The columns of each table."""
    inspector = inspect(engine_of(url))
    return {table: [str(column["name"]) for column in inspector.get_columns(table)] for table in names(url)}


def insert(connection: Connection, name: str, only: Sequence[str] = (), **fields: object) -> None:
    """Insert a row with `fields`, and a made-up value for each other required column (in `only`, where it is given)."""
    table = sa.Table(name, MetaData(), autoload_with=connection)
    needed = [
        column
        for column in table.columns
        if not column.nullable and column.name != "seq" and (column.name in only or not only)
    ]
    kinds = {column.name: column.type.python_type for column in needed}
    made_up: dict[str, object] = {column: {} if kind is object else kind() for column, kind in kinds.items()}
    connection.execute(table.insert().values(made_up | fields))
