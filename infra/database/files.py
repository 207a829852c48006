"""Reads and writes of files. Their bytes are in the object store, under `models.stored_objects.object_key`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from infra.clock import now_seconds
from infra.database import deleted_items, doomed_objects, vector_store_files
from infra.database.columns import AnyRow
from infra.database.file_tables import FILES, HAS_EXPIRY
from infra.database.pages import load_page
from models.answers import MadeFile
from models.file_errors import FileNotFound
from models.files import File, FileStatus, Purpose
from models.lists import Page, PageRequest
from models.stored_objects import KeyPrefix, object_key

NOUN = "file"

_OWNED = (FILES.c.id == bindparam("file_id"), FILES.c.project_id == bindparam("project"))
_LOAD = select(FILES).where(*_OWNED)
_FIND = select(FILES).where(
    FILES.c.id.in_(bindparam("file_ids", expanding=True)), FILES.c.project_id == bindparam("project")
)
_CREATE = insert(FILES)
_REMOVE = delete(FILES).where(*_OWNED).returning(FILES.c.seq)
_EXPIRED = (
    select(FILES.c.id, FILES.c.project_id)
    .where(HAS_EXPIRY, FILES.c.expires_at <= bindparam("now"))
    .order_by(FILES.c.expires_at)
    .limit(bindparam("most"))
    # A file that is locked is deleted by another transaction, or joins a store first.
    .with_for_update(skip_locked=True)
)
_KNOWN = select(FILES.c.id).where(FILES.c.id.in_(bindparam("file_ids", expanding=True)))
_AFTER = (
    select(FILES.c.seq, FILES.c.id)
    .where(FILES.c.seq > bindparam("after"), FILES.c.status == FileStatus.PROCESSED.value)
    .order_by(FILES.c.seq)
    .limit(bindparam("most"))
)
_MARK_LOST = (
    update(FILES)
    .where(FILES.c.id == bindparam("file_id"), FILES.c.status == FileStatus.PROCESSED.value)
    .values(status=FileStatus.ERROR.value, status_details=bindparam("details"))
    .returning(FILES.c.seq)
)

CONTENT_LOST = "The file's content is missing in the object store."


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file whose bytes are stored already, under the key of its `id`."""

    id: str
    filename: str
    purpose: Purpose
    bytes: int
    expires_after_seconds: int | None = None


def create(connection: Connection, project_id: str, stored: StoredFile) -> File:
    now = now_seconds()
    expires_at = None if stored.expires_after_seconds is None else now + stored.expires_after_seconds
    row = {
        "id": stored.id,
        "project_id": project_id,
        "created_at": now,
        "expires_at": expires_at,
        "purpose": stored.purpose.value,
        "filename": stored.filename,
        "bytes": stored.bytes,
        "status": FileStatus.PROCESSED.value,
    }
    connection.execute(_CREATE, row)
    return load(connection, project_id, stored.id)


def create_made(connection: Connection, project_id: str, made: Iterable[MadeFile]) -> None:
    """The rows of files that an answer links to, for the transaction that stores the answer."""
    for file in made:
        create(connection, project_id, StoredFile(file.id, file.filename, Purpose.ASSISTANTS_OUTPUT, file.bytes))


def load(connection: Connection, project_id: str, file_id: str) -> File:
    """Raises `FileNotFound`."""
    row = connection.execute(_LOAD, {"file_id": file_id, "project": project_id}).one_or_none()
    if row is None:
        raise FileNotFound(file_id)
    return _to_file(row)


def find(connection: Connection, project_id: str, file_ids: Collection[str]) -> dict[str, File]:
    """Those of `file_ids` that the project has."""
    rows = connection.execute(_FIND, {"file_ids": list(file_ids), "project": project_id}) if file_ids else ()
    return {row.id: _to_file(row) for row in rows}


def list_page(connection: Connection, project_id: str, page: PageRequest, purpose: str | None = None) -> Page[File]:
    """All files of the project, or those of one purpose."""
    scope: dict[str, Any] = {"project_id": project_id}
    if purpose is not None:
        scope["purpose"] = purpose
    deleted = {"project_id": project_id, "thread_id": None}
    rows, has_more = load_page(connection, FILES, NOUN, page, scope, deleted=deleted)
    return Page[File].of([_to_file(row) for row in rows], has_more)


def remove(connection: Connection, project_id: str, file_id: str) -> str:
    """Remove the file, also from vector stores, and let its bytes be deleted. Returns their key.

    Raises `FileNotFound`.
    """
    seq: int | None = connection.scalar(_REMOVE, {"file_id": file_id, "project": project_id})
    if seq is None:
        raise FileNotFound(file_id)
    vector_store_files.remove_everywhere(connection, file_id)
    deleted_items.remember(connection, project_id, None, file_id, seq)
    key = object_key(KeyPrefix.FILE, file_id)
    doomed_objects.add(connection, project_id, [key])
    return key


def remove_expired(connection: Connection, limit: int) -> Sequence[str]:
    """Remove up to `limit` files that have expired, the longest expired first. Returns their ids."""
    expired = connection.execute(_EXPIRED, {"now": now_seconds(), "most": limit}).all()
    # All at once: a store that is locked after the files of another one might be a deadlock.
    vector_store_files.lock_stores_of(connection, [row.id for row in expired])
    for row in expired:
        remove(connection, row.project_id, row.id)
    return [row.id for row in expired]


def known(connection: Connection, file_ids: Collection[str]) -> set[str]:
    """Those of `file_ids` that any project has."""
    return set(connection.scalars(_KNOWN, {"file_ids": list(file_ids)})) if file_ids else set()


def page_after(connection: Connection, seq: int, limit: int) -> Sequence[AnyRow]:
    """`seq` and `id` of files of any project that follow `seq` and have their content, for the reconciler."""
    return connection.execute(_AFTER, {"after": seq, "most": limit}).all()


def mark_lost(connection: Connection, file_id: str) -> bool:
    """Let the file say that its content is missing. False where it was deleted or marked before."""
    return connection.scalar(_MARK_LOST, {"file_id": file_id, "details": CONTENT_LOST}) is not None


def _to_file(row: AnyRow) -> File:
    return File(
        id=row.id,
        purpose=row.purpose,
        filename=row.filename,
        bytes=row.bytes,
        created_at=row.created_at,
        expires_at=row.expires_at,
        status=row.status,
        status_details=row.status_details,
    )
