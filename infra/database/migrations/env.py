"""What Alembic runs for every command: connects as the server does and applies the versions in order."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from infra.database.engine import create_engine
from infra.database.tables import Table


def _run(connection: Connection) -> None:
    # SQLite alters a table by copying it, which batch mode does.
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_run() -> None:
    engine = create_engine(context.config.attributes["url"])
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_connect_and_run())
