"""Alembic migrations, run by `migrate`."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from infra.database.engine import Database, connecting
from infra.errors import ConnectionFailed

USE_NEWER = "A newer version of Holdfast made it: run that one, or restore a backup of before."


def migrate(url: str) -> None:
    """Migrate the database at SQLAlchemy `url` to the newest schema. Blocking; safe to repeat.

    Raises `ConnectionFailed` if it does not answer, or a newer version has migrated it.
    """
    with connecting(url):
        try:
            command.upgrade(alembic_config(url), "head")
        except CommandError as error:
            raise ConnectionFailed(f"The database cannot be migrated: {error}. {USE_NEWER}") from error


async def check_migrated(database: Database) -> None:
    """Raises `ConnectionFailed` if the database is not at the schema of this version."""
    scripts = _scripts()
    newest = scripts.get_current_head()
    current = await database.read(lambda connection: MigrationContext.configure(connection).get_current_revision())
    if current == newest:
        return
    if current is None:
        raise ConnectionFailed("The database has no tables of Holdfast. Run `holdfast migrate`.")
    needs = f"The database is at schema {current}, this version of Holdfast needs {newest}."
    is_known = current in {script.revision for script in scripts.walk_revisions()}
    raise ConnectionFailed(f"{needs} {'Run `holdfast migrate`.' if is_known else USE_NEWER}")


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config(""))


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config
