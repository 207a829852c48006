"""The tables of the code interpreter: the session of a thread, and the files that its code has made or changed."""

from sqlalchemy import JSON, BigInteger, Index, Table, text

from infra.database.columns import METADATA, key, optional, partial, required

IS_CLOSED = text("closed_at IS NOT NULL")

SANDBOX_SESSIONS = Table(
    "sandbox_sessions",
    METADATA,
    key("thread_id"),
    required("project_id"),
    # The address of the sandbox process that has it. Each newer session of a thread has a larger generation.
    required("url"),
    required("generation", BigInteger),
    required("started_at", BigInteger),
    # NULL: no code has run in it, or in an earlier one.
    optional("last_used_at", BigInteger),
    # The names in /mnt/data of files that were put there, by file id.
    required("placed", JSON),
    # Set once its thread is deleted, until the sandbox has ended it.
    optional("closed_at", BigInteger),
    partial("sandbox_sessions_closed", "closed_at", only=IS_CLOSED),
)

# What a new session of the thread begins with, beside its attached files. The bytes are in the object store.
SANDBOX_FILES = Table(
    "sandbox_files",
    METADATA,
    key("thread_id"),
    # The path in /mnt/data.
    key("name"),
    required("project_id"),
    required("object_id"),
    required("bytes", BigInteger),
    required("sha256"),
    Index("sandbox_files_by_object", "object_id", unique=True),
)
