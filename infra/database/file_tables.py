"""The tables of files and uploads."""

from sqlalchemy import BigInteger, Index, Table, text

from infra.database.columns import METADATA, OBJECT, key, object_id, optional, partial, required, seq

HAS_EXPIRY = text("expires_at IS NOT NULL")
IS_PENDING_UPLOAD = text("status = 'pending'")

FILES = Table(
    "files",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("created_at", BigInteger),
    optional("expires_at", BigInteger),
    required("purpose"),
    required("filename"),
    required("bytes", BigInteger),
    required("status"),
    optional("status_details"),
    Index("files_by_project", "project_id", "seq"),
    Index("files_by_purpose", "project_id", "purpose", "seq"),
    partial("files_by_expiry", "expires_at", only=HAS_EXPIRY),
    sqlite_autoincrement=True,
)

UPLOADS = Table(
    "uploads",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("created_at", BigInteger),
    required("expires_at", BigInteger),
    required("purpose"),
    required("filename"),
    required("bytes", BigInteger),
    required("mime_type"),
    required("status"),
    # Of the file that is made of it.
    optional("expires_after_seconds", BigInteger),
    # Once it is completed: the request's part ids, by which a repeated request is known, and the file as it was then.
    optional("part_ids", OBJECT),
    optional("file", OBJECT),
    partial("uploads_pending", "expires_at", only=IS_PENDING_UPLOAD),
    sqlite_autoincrement=True,
)

# The parts of pending uploads.
UPLOAD_PARTS = Table(
    "upload_parts",
    METADATA,
    key("id"),
    required("project_id"),
    required("upload_id"),
    required("created_at", BigInteger),
    required("bytes", BigInteger),
    Index("upload_parts_by_upload", "upload_id"),
)

# The keys of objects whose row was deleted, until their bytes are deleted as well.
DOOMED_OBJECTS = Table(
    "doomed_objects",
    METADATA,
    key("key"),
    required("project_id"),
    required("deleted_at", BigInteger),
    Index("doomed_objects_by_age", "deleted_at"),
)
