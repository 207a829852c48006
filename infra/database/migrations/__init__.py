"""Alembic migrations, run by `migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from infra.database.engine import connecting
from infra.database.schema_version import USE_NEWER
from infra.errors import ConnectionFailed


def migrate(url: str) -> None:
    """Migrate the database at SQLAlchemy `url` to the newest schema. Blocking; safe to repeat.

    Raises `ConnectionFailed` if it does not answer, or a newer version has migrated it.
    """
    with connecting(url):
        try:
            command.upgrade(alembic_config(url), "head")
        except CommandError as error:
            raise ConnectionFailed(f"The database cannot be migrated: {error}. {USE_NEWER}") from error


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = url
    return config
