"""Reads and writes of uploads and their parts. The bytes of parts are in the object store, as those of files are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from infra.clock import now_seconds
from infra.database import doomed_objects, files
from infra.database.columns import AnyRow
from infra.database.file_tables import IS_PENDING_UPLOAD, UPLOAD_PARTS, UPLOADS
from infra.database.files import StoredFile
from models.errors import NotFound, WrongStatus
from models.file_errors import UnknownUploadPart, UploadMismatch, UploadTooLarge
from models.files import Purpose, bare_filename, expiry_of
from models.ids import Prefix, new_dated_id
from models.stored_objects import KeyPrefix, object_key
from models.uploads import LIFETIME, MAX_PARTS, MAX_UPLOAD_BYTES, CreateUploadRequest, Upload, UploadPart, UploadStatus

NOUN = "upload"

_OWNED = (UPLOADS.c.id == bindparam("upload_id"), UPLOADS.c.project_id == bindparam("project"))
_LOAD = select(UPLOADS).where(*_OWNED)
# Parts that arrive while an upload is completed, cancelled or expires wait for it, and are refused then.
_LOCK = _LOAD.with_for_update()
_CREATE = insert(UPLOADS)
_PARTS = select(UPLOAD_PARTS.c.id, UPLOAD_PARTS.c.bytes).where(UPLOAD_PARTS.c.upload_id == bindparam("upload_id"))
_STORED = select(
    func.count().label("parts"), func.coalesce(func.sum(UPLOAD_PARTS.c.bytes), 0).label("total_bytes")
).where(UPLOAD_PARTS.c.upload_id == bindparam("upload_id"))
_ADD_PART = insert(UPLOAD_PARTS)
_REMOVE_PARTS = delete(UPLOAD_PARTS).where(UPLOAD_PARTS.c.upload_id == bindparam("upload_id"))
_COMPLETE = (
    update(UPLOADS)
    .where(UPLOADS.c.seq == bindparam("this"))
    .values(status=UploadStatus.COMPLETED.value, part_ids=bindparam("of_parts"), file=bindparam("made"))
)
_END = update(UPLOADS).where(UPLOADS.c.seq == bindparam("this")).values(status=bindparam("ended"))
_OVERDUE = (
    select(UPLOADS)
    .where(IS_PENDING_UPLOAD, UPLOADS.c.expires_at <= bindparam("now"))
    .order_by(UPLOADS.c.expires_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_KNOWN_PARTS = select(UPLOAD_PARTS.c.id).where(UPLOAD_PARTS.c.id.in_(bindparam("part_ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a pending upload becomes: a file of these parts, in their order."""

    part_ids: Sequence[str]
    filename: str
    purpose: Purpose
    bytes: int
    expires_after_seconds: int | None


def create(connection: Connection, project_id: str, body: CreateUploadRequest) -> Upload:
    now = now_seconds()
    upload_id = new_dated_id(Prefix.UPLOAD, now)
    purpose = Purpose(body.purpose)
    row = {
        "id": upload_id,
        "project_id": project_id,
        "created_at": now,
        "expires_at": now + int(LIFETIME.total_seconds()),
        "purpose": purpose.value,
        "filename": bare_filename(body.filename),
        "bytes": body.bytes,
        "mime_type": body.mime_type,
        "status": UploadStatus.PENDING.value,
        "expires_after_seconds": expiry_of(purpose, body.expires_after),
    }
    connection.execute(_CREATE, row)
    return _to_upload(_load(connection, project_id, upload_id))


def check_pending(connection: Connection, project_id: str, upload_id: str) -> None:
    """Raises `NotFound`, and `WrongStatus` where the upload takes no parts any more."""
    _check_status(_load(connection, project_id, upload_id), "add a part to")


def add_part(connection: Connection, project_id: str, upload_id: str, part_id: str, size: int) -> UploadPart:
    """Add a part whose bytes are stored. Raises `NotFound`, `WrongStatus` and `UploadTooLarge`."""
    _check_status(_load(connection, project_id, upload_id, _LOCK), "add a part to")
    stored = connection.execute(_STORED, {"upload_id": upload_id}).one()
    if stored.total_bytes + size > MAX_UPLOAD_BYTES:
        raise UploadTooLarge.of_bytes(MAX_UPLOAD_BYTES)
    if stored.parts >= MAX_PARTS:
        raise UploadTooLarge.of_parts(MAX_PARTS)
    now = now_seconds()
    row = {"id": part_id, "project_id": project_id, "upload_id": upload_id, "created_at": now, "bytes": size}
    connection.execute(_ADD_PART, row)
    return UploadPart(id=part_id, created_at=now, upload_id=upload_id)


def assembly(connection: Connection, project_id: str, upload_id: str, part_ids: Sequence[str]) -> Assembly | Upload:
    """How to put the parts together; the upload itself where that was done before, of the same parts.

    Raises `NotFound`, `WrongStatus`, and `UnknownUploadPart` and `UploadMismatch` for parts that do not make the file.
    """
    row = _load(connection, project_id, upload_id)
    if _is_completed_of(row, part_ids):
        return _to_upload(row)
    _check_status(row, "complete")
    sizes = {part.id: part.bytes for part in connection.execute(_PARTS, {"upload_id": upload_id})}
    for index, part_id in enumerate(part_ids):
        if part_id not in sizes:
            raise UnknownUploadPart(index, part_id)
    if (size := sum(sizes[part_id] for part_id in part_ids)) != row.bytes:
        raise UploadMismatch.of_sizes(size, row.bytes)
    return Assembly(part_ids, row.filename, Purpose(row.purpose), row.bytes, row.expires_after_seconds)


def complete(
    connection: Connection, project_id: str, upload_id: str, part_ids: Sequence[str], stored: StoredFile
) -> Upload:
    """Make the file whose bytes are stored, and let those of the parts be deleted.

    The upload's file is another one where a request with the same parts was faster. Raises `NotFound`, `WrongStatus`.
    """
    row = _load(connection, project_id, upload_id, _LOCK)
    if _is_completed_of(row, part_ids):
        return _to_upload(row)
    _check_status(row, "complete", even_if_late=True)
    made = files.create(connection, project_id, stored).model_dump(mode="json")
    connection.execute(_COMPLETE, {"this": row.seq, "of_parts": list(part_ids), "made": made})
    _remove_parts(connection, project_id, upload_id)
    return _to_upload(_load(connection, project_id, upload_id))


def cancel(connection: Connection, project_id: str, upload_id: str) -> Upload:
    """Raises `NotFound`, `WrongStatus`."""
    row = _load(connection, project_id, upload_id, _LOCK)
    _check_status(row, "cancel")
    _end(connection, row, UploadStatus.CANCELLED)
    return _to_upload(_load(connection, project_id, upload_id))


def expire(connection: Connection, limit: int) -> Sequence[str]:
    """End up to `limit` pending uploads whose time is over, the longest over first. Returns their ids."""
    overdue = connection.execute(_OVERDUE, {"now": now_seconds(), "most": limit}).all()
    for row in overdue:
        _end(connection, row, UploadStatus.EXPIRED)
    return [row.id for row in overdue]


def known_parts(connection: Connection, part_ids: Sequence[str]) -> set[str]:
    """Those of `part_ids` that any project has."""
    return set(connection.scalars(_KNOWN_PARTS, {"part_ids": list(part_ids)})) if part_ids else set()


def _load(connection: Connection, project_id: str, upload_id: str, statement: Any = _LOAD) -> AnyRow:
    row: AnyRow | None = connection.execute(statement, {"upload_id": upload_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, upload_id)
    return row


def _check_status(row: AnyRow, action: str, even_if_late: bool = False) -> None:
    status = row.status if even_if_late else _status_of(row)
    if status != UploadStatus.PENDING:
        raise WrongStatus.of_upload(action, status)


def _status_of(row: AnyRow) -> UploadStatus:
    """An upload expires by its clock, whenever its row is brought up to date."""
    is_late = row.status == UploadStatus.PENDING and row.expires_at <= now_seconds()
    return UploadStatus.EXPIRED if is_late else UploadStatus(row.status)


def _is_completed_of(row: AnyRow, part_ids: Sequence[str]) -> bool:
    return bool(row.status == UploadStatus.COMPLETED and row.part_ids == list(part_ids))


def _end(connection: Connection, row: AnyRow, status: UploadStatus) -> None:
    connection.execute(_END, {"this": row.seq, "ended": status.value})
    _remove_parts(connection, row.project_id, row.id)


def _remove_parts(connection: Connection, project_id: str, upload_id: str) -> None:
    parts = connection.execute(_PARTS, {"upload_id": upload_id}).all()
    doomed_objects.add(connection, project_id, [object_key(KeyPrefix.UPLOAD_PART, part.id) for part in parts])
    connection.execute(_REMOVE_PARTS, {"upload_id": upload_id})


def _to_upload(row: AnyRow) -> Upload:
    return Upload(
        id=row.id,
        bytes=row.bytes,
        created_at=row.created_at,
        filename=row.filename,
        purpose=row.purpose,
        status=_status_of(row),
        expires_at=row.expires_at,
        file=row.file,
    )
