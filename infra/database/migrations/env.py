"""Alembic's environment of every command: connects as the server does and applies the versions in order."""

from alembic import context
from sqlalchemy import Connection, text

from infra.database.connections import MIGRATING, POSTGRES, begin_writing, create_engine
from infra.database.tables import ALL_TABLES

# An arbitrary number, which no other program on the database is likely to use.
POSTGRES_LOCK = 0x686F6C6466617374


def _run(connection: Connection) -> None:
    # If several processes migrate at once, the first one does it and the others then find nothing to do.
    if connection.dialect.name == POSTGRES:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": POSTGRES_LOCK})
    # SQLite alters a table by copying it; batch mode does so.
    context.configure(connection=connection, target_metadata=ALL_TABLES, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def _connect_and_run() -> None:
    engine = create_engine(context.config.attributes["url"], MIGRATING)
    try:
        with engine.connect() as connection:
            begin_writing(connection)
            _run(connection)
            connection.commit()
    finally:
        engine.dispose()


_connect_and_run()
