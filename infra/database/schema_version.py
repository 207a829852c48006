"""Compares the schema of a database with that of this version, without Alembic, which takes a tenth of a start."""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from infra.database.engine import Database
from infra.errors import ConnectionFailed

# Alembic's own table.
ALEMBIC_VERSION = Table("alembic_version", MetaData(), Column("version_num", String))
VERSIONS = Path(__file__).parent / "migrations" / "versions"
USE_NEWER = "A newer version of Holdfast made it: run that one, or restore a backup of before."


async def check_migrated(database: Database) -> None:
    """Raises `ConnectionFailed` if the database is not at the schema of this version."""
    known = revisions()
    current = await database.read(_current_revision)
    if current == known[-1]:
        return
    if current is None:
        raise ConnectionFailed("The database has no tables of Holdfast. Run `holdfast migrate`.")
    needs = f"The database is at schema {current}, this version of Holdfast needs {known[-1]}."
    raise ConnectionFailed(f"{needs} {'Run `holdfast migrate`.' if current in known else USE_NEWER}")


def revisions() -> list[str]:
    """Those of the migrations, oldest first: the name of a migration's file begins with its revision."""
    return sorted(file.name.partition("_")[0] for file in VERSIONS.glob("[0-9]*.py"))


def _current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(ALEMBIC_VERSION.name):
        return None
    return connection.scalar(select(ALEMBIC_VERSION.c.version_num))
