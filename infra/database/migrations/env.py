"""What Alembic runs for every command: connects as the server does and applies the versions in order."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from infra.database.connections import MIGRATING, POSTGRES, create_engine
from infra.database.engine import WHOLE_DATABASE
from infra.database.tables import Table

# Any number that no other program on the database is likely to take.
POSTGRES_LOCK = 0x686F6C6466617374


def _run(connection: Connection) -> None:
    # Of several processes that migrate at once, the first does it and the others then find nothing to do.
    if connection.dialect.name == POSTGRES:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": POSTGRES_LOCK})
    # SQLite alters a table by copying it, which batch mode does.
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_run() -> None:
    engine = create_engine(context.config.attributes["url"], MIGRATING)
    try:
        async with engine.execution_options(**WHOLE_DATABASE).begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_connect_and_run())
