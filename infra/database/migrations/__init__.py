"""Alembic migrations, run by `migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from infra.database.engine import Database, connecting
from infra.errors import ConnectionFailed


def migrate(url: str) -> None:
    """Bring the database at SQLAlchemy `url` to the newest schema. Blocking; safe to repeat.

    Raises `ConnectionFailed` where it does not answer.
    """
    with connecting(url):
        command.upgrade(alembic_config(url), "head")


async def check_migrated(database: Database) -> None:
    """Raises `ConnectionFailed` where the database is not at the schema of this version."""
    newest = ScriptDirectory.from_config(alembic_config("")).get_current_head()
    async with database.engine.connect() as connection:
        current = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    if current != newest:
        raise ConnectionFailed(
            f"The database is at schema {current}, this version of Holdfast needs {newest}. Run `holdfast migrate`."
        )


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config
