"""`holdfast migrate`: brings the database to the newest schema."""

import asyncio

from cli.data_folder import make_data_folder
from infra.database import migrations, workers
from infra.database.engine import connecting, open_database
from infra.settings import Settings


def migrate(settings: Settings, no_worker_lives: bool) -> None:
    """Bring the database to the newest schema. Raises `StartFailed`.

    `no_worker_lives` is what the caller knows: workers that the database still has are gone.
    """
    if not settings.database_url:
        make_data_folder(settings.data_dir)
    migrations.migrate(settings.database)
    if no_worker_lives:
        asyncio.run(_declare_workers_gone(settings))


async def _declare_workers_gone(settings: Settings) -> None:
    with connecting(settings.database):
        async with open_database(settings.database) as database:
            await database.write(workers.declare_all_gone)
