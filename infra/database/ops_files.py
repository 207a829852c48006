"""Reads of files of vector stores for operators: those that are not completed, of one project or of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, tuple_

from infra.clock import MS_PER_SECOND
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.vector_store_tables import IS_NOT_COMPLETED, VECTOR_STORE_FILES
from models.documents import FileErrorCode
from models.errors import NotFound
from models.ids import StoreFileName
from models.lists import PageRequest
from models.ops_files import UnfinishedStatus

NOUN = "file"

_F = VECTOR_STORE_FILES
_FIND = select(_F).where(tuple_(_F.c.store_id, _F.c.id) == tuple_(bindparam("store"), bindparam("file")))


@dataclass(frozen=True)
class FileFilter:
    """The conditions of a list of files; None: no condition.

    `since` is in seconds since the epoch, and means the time at which a file ended; of files in progress, that at which
    their ingestion began.
    """

    status: UnfinishedStatus
    store_id: str | None = None
    file_id: str | None = None
    error: FileErrorCode | None = None
    since: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {_F.c.status: self.status, _F.c.store_id: self.store_id, _F.c.id: self.file_id}
        found = [column == value for column, value in equal.items() if value is not None]
        if self.error is not None:
            found.append(_F.c.last_error["code"].as_string() == self.error)
        if self.since is not None:
            found.append(func.coalesce(_F.c.ended_at * MS_PER_SECOND, _F.c.generation) >= self.since * MS_PER_SECOND)
        return found


def list_page(
    connection: Connection, project_id: str | None, page: PageRequest, wanted: FileFilter
) -> tuple[Sequence[AnyRow], bool]:
    """The files that match `wanted`, of a project or of all, and whether more follow.

    Cursors are `StoreFileName`s. Raises `NotFound` for an unknown one.
    """
    scope = {} if project_id is None else {"project_id": project_id}
    return load_page(
        connection,
        _F,
        NOUN,
        page,
        scope,
        deleted=scope,
        only=[IS_NOT_COMPLETED, *wanted.conditions()],
        without=("chunk_overlaps",),
        place_of=partial(_seq_of, connection, project_id),
    )


def load(connection: Connection, project_id: str | None, name: StoreFileName) -> AnyRow:
    """A file of a project's store, or of any; it may be completed. Raises `NotFound`."""
    row = _find(connection, project_id, name)
    if row is None:
        raise NotFound.of(NOUN, str(name))
    return row


def _seq_of(connection: Connection, project_id: str | None, cursor: str) -> int | None:
    row = _find(connection, project_id, StoreFileName.parse(cursor))
    return None if row is None else int(row.seq)


def _find(connection: Connection, project_id: str | None, name: StoreFileName) -> AnyRow | None:
    row = connection.execute(_FIND, {"store": name.store_id, "file": name.file_id}).one_or_none()
    return None if row is None or project_id not in (None, row.project_id) else row
