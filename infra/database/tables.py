"""All tables: those of the modules that are imported here, deleted items, and idempotency keys.

`seq` is the insertion order that lists and cursors follow; `id` is what clients see.
"""

from sqlalchemy import BigInteger, Index, MetaData, Table

from infra.database import (  # noqa: F401 - they add theirs
    file_tables,
    run_tables,
    sandbox_tables,
    thread_tables,
    vector_store_tables,
    web_tables,
    worker_tables,
)
from infra.database.columns import METADATA, key, optional, required

ALL_TABLES: MetaData = METADATA

# The places of deleted assistants, threads, messages and files in their lists, for clients that delete while they list.
DELETED_ITEMS = Table(
    "deleted_items",
    METADATA,
    key("id"),
    required("project_id"),
    # Only of a message.
    optional("thread_id"),
    required("seq", BigInteger),
    required("deleted_at", BigInteger),
    Index("deleted_items_by_thread", "thread_id"),
    Index("deleted_items_by_age", "deleted_at"),
)

# Requests that a client marked with a key, and their answers as JSON (empty while one is under way).
IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    key("project_id"),
    key("key"),
    required("fingerprint"),
    required("answer"),
    required("created_at", BigInteger),
    Index("idempotency_keys_by_age", "created_at"),
)
