"""The tables of vector stores, their files and batches."""

from sqlalchemy import JSON, BigInteger, Boolean, Double, Index, Table, Text, UniqueConstraint, text

from infra.database.columns import METADATA, OBJECT, counter, key, object_id, optional, partial, required, seq

IS_INGESTED_NOW = text("status = 'in_progress'")
IS_NOT_COMPLETED = text("status <> 'completed'")
CAN_EXPIRE = text("expires_at IS NOT NULL AND NOT is_emptied")

# `in_progress` to `cancelled` count the files in each state, in the transactions that change it.
VECTOR_STORES = Table(
    "vector_stores",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("created_at", BigInteger),
    optional("name"),
    optional("description"),
    required("metadata", JSON),
    optional("expires_after_days", BigInteger),
    optional("expires_at", BigInteger),
    required("last_active_at", BigInteger),
    # Whether it has expired and what it held is gone.
    required("is_emptied", Boolean),
    # What its vectors are of; NULL: it is searched by keywords alone.
    optional("embedding_model"),
    required("dimensions", BigInteger),
    counter("in_progress"),
    counter("completed"),
    counter("failed"),
    counter("cancelled"),
    counter("usage_bytes"),
    # Grows by each change of its files or of their attributes: `infra/searchable_files.py` compares it.
    counter("files_version"),
    # Those of them whose files have them: see `file_counts.py`.
    counter("recorded_versions"),
    Index("vector_stores_by_project", "project_id", "seq"),
    partial("vector_stores_by_expiry", "expires_at", only=CAN_EXPIRE),
    sqlite_autoincrement=True,
)

# `id` is the file's: unique in its store only.
VECTOR_STORE_FILES = Table(
    "vector_store_files",
    METADATA,
    seq(),
    required("id"),
    required("project_id"),
    required("store_id"),
    required("created_at", BigInteger),
    required("filename"),
    required("status"),
    # Each time that the file is ingested anew has a larger one.
    required("generation", BigInteger),
    optional("batch_id"),
    counter("usage_bytes"),
    counter("chunks"),
    # How many characters each chunk has in common with the one before: its content is shown without them.
    optional("chunk_overlaps", OBJECT),
    optional("last_error", OBJECT),
    required("max_chunk_size_tokens", BigInteger),
    required("chunk_overlap_tokens", BigInteger),
    required("attributes", JSON),
    # Milliseconds since the epoch: when the reconciler looks whether a workflow is at it.
    required("next_check_at", BigInteger),
    # When it was completed, failed or was cancelled.
    optional("ended_at", BigInteger),
    # The store's, after the last change that may matter to a search.
    counter("files_version"),
    UniqueConstraint("store_id", "id"),
    Index("vector_store_files_by_store", "store_id", "seq"),
    Index("vector_store_files_by_status", "store_id", "status", "seq"),
    Index("vector_store_files_by_version", "store_id", "files_version"),
    Index("vector_store_files_by_batch", "batch_id", "seq"),
    Index("vector_store_files_by_batch_status", "batch_id", "status", "seq"),
    Index("vector_store_files_by_file", "id"),
    partial("vector_store_files_in_progress", "next_check_at", only=IS_INGESTED_NOW),
    # Few files are: an operator's list of those that failed reads no others.
    partial("vector_store_files_not_completed", "status", "seq", only=IS_NOT_COMPLETED),
    sqlite_autoincrement=True,
)

# The files that the latest versions of a store removed.
REMOVED_STORE_FILES = Table(
    "removed_store_files",
    METADATA,
    key("store_id"),
    key("files_version", BigInteger),
    key("id"),
    required("project_id"),
)

# Attributes by pairs, of which one of the three values is not NULL. Bytes decide the order of texts, as on SQLite.
VECTOR_STORE_FILE_ATTRIBUTES = Table(
    "vector_store_file_attributes",
    METADATA,
    key("file_seq", BigInteger),
    key("key"),
    required("project_id"),
    required("store_id"),
    optional("text_value", Text().with_variant(Text(collation="C"), "postgresql")),
    optional("number_value", Double),
    optional("boolean_value", Boolean),
    Index("vector_store_file_attributes_by_store", "store_id"),
    *(
        partial(
            f"vector_store_file_attributes_by_{kind}",
            "store_id",
            "key",
            f"{kind}_value",
            only=text(f"{kind}_value IS NOT NULL"),
        )
        for kind in ("text", "number", "boolean")
    ),
)

VECTOR_STORE_FILE_BATCHES = Table(
    "vector_store_file_batches",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("store_id"),
    required("created_at", BigInteger),
    required("is_cancelled", Boolean),
    counter("in_progress"),
    counter("completed"),
    counter("failed"),
    counter("cancelled"),
    Index("vector_store_file_batches_by_store", "store_id", "seq"),
    sqlite_autoincrement=True,
)

# What is to be removed from the vector index: a file of a store up to a generation, or with `file_id` NULL the whole
# store.
INDEX_DELETIONS = Table(
    "index_deletions",
    METADATA,
    seq(),
    required("project_id"),
    required("store_id"),
    optional("embedding_model"),
    required("dimensions", BigInteger),
    optional("file_id"),
    # NULL in a row that an older version of this program wrote.
    optional("generation", BigInteger),
    required("deleted_at", BigInteger),
    Index("index_deletions_by_age", "deleted_at"),
    Index("index_deletions_by_file", "store_id", "file_id"),
    sqlite_autoincrement=True,
)
