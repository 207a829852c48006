"""The SQLite file of one store under one model: its tables, and how it is opened."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.vector_index.errors import VectorIndexUnavailable

BUSY_TIMEOUT_SECONDS = 30
CHUNK_BITS = 32
"""A chunk's id is its file's row number and, in this many bits, its own number: keyword search can tell the file."""

# `vector` and `window` only grow at their ends and shrink by whole files, so that a reader needs to read only what was
# added, unless `removals` has changed. Chunks that share a window share its vector.
# `state.chunks` is kept because to count them, SQLite would read the whole table.
_SCHEMA = """
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE file (
    row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, generation INTEGER NOT NULL, UNIQUE (id, generation)
);
CREATE TABLE chunk (id INTEGER PRIMARY KEY, page INTEGER, text TEXT NOT NULL);
CREATE TABLE vector (id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL, f16 BLOB NOT NULL);
CREATE INDEX vector_of_file ON vector (file);
CREATE TABLE window (id INTEGER PRIMARY KEY AUTOINCREMENT, chunk INTEGER NOT NULL, vector INTEGER NOT NULL);
CREATE INDEX window_of_chunk ON window (chunk);
CREATE TABLE state (chunks INTEGER NOT NULL, removals INTEGER NOT NULL);
INSERT INTO state VALUES (0, 0);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = 'chunk', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
    INSERT INTO words (rowid, text) VALUES (new.id, new.text);
    UPDATE state SET chunks = chunks + 1;
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
    UPDATE state SET chunks = chunks - 1;
END;
PRAGMA user_version = 1;
COMMIT;
"""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """One state of the file for the whole block; None where there is no file."""
    with _errors_translated():
        if not path.exists():
            yield None
            return
        with closing(_connect(path)) as connection:
            connection.execute("BEGIN")
            yield connection


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that is committed, and durable, when the block ends."""
    with _errors_translated(), closing(_connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


@dataclass(frozen=True, slots=True)
class Removals:
    """How many rows of `file` were removed from an index until now. What was added has larger ids than all before."""

    index: tuple[int, int]
    count: int


def removals_of(path: Path, connection: sqlite3.Connection) -> Removals:
    (count,) = connection.execute("SELECT removals FROM state").fetchone()
    # A file that was dropped and made anew counts from the beginning, and may have the inode of the former one.
    (chance,) = connection.execute("PRAGMA application_id").fetchone()
    return Removals((path.stat().st_ino, chance), count)


def create(path: Path) -> None:
    """Does nothing where there is one. Another process finds all of the file or none of it."""
    with _errors_translated(), TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        new = Path(folder) / path.name
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {secrets.randbits(31)}")
        # Unlike a rename, a link never takes the place of a file that another process has begun to fill.
        with suppress(FileExistsError):
            os.link(new, path)


def remove(path: Path) -> None:
    with _errors_translated():
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    # Without "rw" SQLite would make a file of its own in place of one that was dropped meanwhile.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA mmap_size = 1073741824")
    return connection


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise VectorIndexUnavailable(f"The search index cannot be used: {error}") from error
