"""The tables. `seq` is the insertion order that lists and cursors follow; `id` is what clients see."""

from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from models.runs import ACTIVE_STATUSES, RunStatus

# SQLite numbers rows itself only in a column declared INTEGER PRIMARY KEY.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
_OBJECT = JSON(none_as_null=True)

METADATA = MetaData()

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of a table, or of the columns that a statement selects; its columns are attributes."""


def status_in(*statuses: RunStatus) -> TextClause:
    """A condition without parameters, as partial indexes need it and as costs a statement least."""
    return text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(statuses))))


def _and_not_waiting(condition: TextClause) -> TextClause:
    return text(f"{condition} AND NOT waiting")


# A partial index serves a query that has its very condition: use these, not conditions of the same meaning.
IS_ACTIVE = _and_not_waiting(status_in(*ACTIVE_STATUSES))
IS_WAITING = text("waiting AND status = 'queued'")
IS_WAITING_MESSAGE = text("queued_behind IS NOT NULL")
AWAITS_COMMAND = _and_not_waiting(status_in(RunStatus.QUEUED, RunStatus.CANCELLING))
HAS_EXPIRY = text("expires_at IS NOT NULL")
IS_INGESTED_NOW = text("status = 'in_progress'")
CAN_EXPIRE = text("expires_at IS NOT NULL AND NOT is_emptied")
IS_PENDING_UPLOAD = text("status = 'pending'")
# A waiting run has no workflow that would watch its deadline.
HAS_DEADLINE = text(f"({status_in(RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION)} OR ({IS_WAITING}))")


def _partial(name: str, *columns: str, only: TextClause, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)


def _seq() -> Column[Any]:
    return Column("seq", _SEQUENCE, primary_key=True)


def _id() -> Column[Any]:
    return Column("id", Text, unique=True, nullable=False)


def _key(name: str, kind: type[TypeEngine[Any]] = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] = Text, **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


def _optional(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] = Text) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _counter(name: str) -> Column[Any]:
    return _required(name, BigInteger, default=0, server_default="0")


ASSISTANTS = Table(
    "assistants",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("created_at", BigInteger),
    _optional("name"),
    _optional("description"),
    _required("model"),
    _optional("instructions"),
    _required("tools", JSON),
    _optional("temperature", Double),
    _optional("top_p", Double),
    _optional("reasoning_effort"),
    _required("tool_resources", JSON),
    _required("metadata", JSON),
    _required("response_format", JSON),
    Index("assistants_by_project", "project_id", "seq"),
    sqlite_autoincrement=True,
)

THREADS = Table(
    "threads",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("created_at", BigInteger),
    _required("tool_resources", JSON),
    _required("metadata", JSON),
    # What happens to a message or run that arrives while a run is active: "reject" or "enqueue".
    _required("on_active_run"),
    # Whether messages or runs wait; see `thread_queue.py`.
    _required("has_queue", Boolean),
    # See `message_counts.py`, the only module that reads and writes it.
    _counter("message_count"),
    Index("threads_by_project", "project_id", "seq"),
    sqlite_autoincrement=True,
)

# A thread's metadata by pairs, so that threads are found by them as quickly as by id.
THREAD_METADATA = Table(
    "thread_metadata",
    METADATA,
    _key("thread_seq", BigInteger),
    _key("key"),
    _required("value"),
    _required("project_id"),
    Index("threads_by_metadata", "project_id", "key", "value", "thread_seq"),
)

MESSAGES = Table(
    "messages",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("thread_id"),
    _required("created_at", BigInteger),
    _required("status"),
    _optional("incomplete_reason"),
    _optional("completed_at", BigInteger),
    _optional("incomplete_at", BigInteger),
    _required("role"),
    _required("content", JSON),
    _optional("assistant_id"),
    _optional("run_id"),
    _required("attachments", JSON),
    _required("metadata", JSON),
    # The run, by `seq`, that has to end before a waiting message is admitted. NULL: it does not wait.
    _optional("queued_behind", BigInteger),
    Index("messages_by_thread", "thread_id", "seq"),
    _partial("messages_by_run", "run_id", "thread_id", "seq", only=text("run_id IS NOT NULL")),
    _partial("messages_waiting", "thread_id", "seq", only=IS_WAITING_MESSAGE),
    sqlite_autoincrement=True,
)

RUNS = Table(
    "runs",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("thread_id"),
    _required("assistant_id"),
    _required("status"),
    # Queued behind another run of its thread: no lock, no workflow yet.
    _required("waiting", Boolean),
    # Milliseconds since the epoch; every other time of a run is in the wire's seconds.
    _required("status_changed_at", BigInteger),
    _required("created_at", BigInteger),
    _optional("started_at", BigInteger),
    _optional("expires_at", BigInteger),
    _required("expires_after_seconds", BigInteger),
    _optional("cancelled_at", BigInteger),
    _optional("failed_at", BigInteger),
    _optional("completed_at", BigInteger),
    # Which execution finalized the run outside its answers, its workflow's or a sweep's: only another execution, a
    # reset, resumes a failed run. Empty for a run that had waited for its thread.
    _optional("ended_by"),
    # The turn the model is asked for next, or is answering now.
    _required("turn", BigInteger),
    # The fencing token of the newest attempt at a turn: events and commits of older attempts are rejected.
    _counter("newest_attempt"),
    # The number after the last event of the run that a commit has numbered; those of deltas come on top.
    _required("next_event", BigInteger),
    # The number of the first event of its finalization, after which the stream closes what its last answer left open.
    _optional("final_event", BigInteger),
    # Whether its thread was created in the same call, and is its first event.
    _required("with_thread", Boolean),
    # How often the run was resumed after it failed, and the turn at which it was last resumed.
    _counter("retries"),
    _optional("retried_turn", BigInteger),
    # The last message of the thread when the run got it: later messages are not part of its prompt.
    _required("last_message_seq", BigInteger),
    _optional("required_action", _OBJECT),
    _optional("last_error", _OBJECT),
    _optional("incomplete_reason"),
    _required("model"),
    _optional("instructions"),
    _required("tools", JSON),
    _required("tool_resources", JSON),
    _required("metadata", JSON),
    _optional("temperature", Double),
    _optional("top_p", Double),
    _optional("reasoning_effort"),
    _optional("max_completion_tokens", BigInteger),
    _optional("max_prompt_tokens", BigInteger),
    _required("truncation_strategy", JSON),
    _required("response_format", JSON),
    _required("tool_choice", JSON),
    _required("parallel_tool_calls", Boolean),
    _optional("usage", _OBJECT),
    Index("runs_by_thread", "thread_id", "seq"),
    Index("runs_by_project", "project_id", "seq"),
    Index("runs_by_status", "project_id", "status", "seq"),
    Index("runs_by_assistant", "project_id", "assistant_id", "seq"),
    Index("runs_by_creation", "project_id", "created_at"),
    _partial("runs_by_failure", "project_id", "failed_at", only=text("failed_at IS NOT NULL")),
    # The thread lock: one active run per thread, decided by the database.
    _partial("runs_active", "thread_id", unique=True, only=IS_ACTIVE),
    _partial("runs_waiting", "thread_id", "seq", only=IS_WAITING),
    _partial("runs_awaiting_command", "status_changed_at", only=AWAITS_COMMAND),
    _partial("runs_with_deadline", "expires_at", only=HAS_DEADLINE),
    sqlite_autoincrement=True,
)

# Each time that a failed run was resumed, and the failure that it was resumed from.
RUN_RETRIES = Table(
    "run_retries",
    METADATA,
    _key("run_id"),
    # From 1; the newest one's is the run's `retries`.
    _key("number", BigInteger),
    _required("project_id"),
    _required("requested_at", BigInteger),
    # NULL: by a reset in Temporal, whose reason has not been read yet.
    _optional("requested_by"),
    _required("turn", BigInteger),
    _optional("failed_at", BigInteger),
    # The execution that the run failed in, which is superseded: it finalizes the run no more.
    _required("failed_execution"),
    _optional("error", _OBJECT),
)

# Turns that were committed: a row's presence is the answer to "has this been done?".
TURNS = Table(
    "turns",
    METADATA,
    _key("run_id"),
    _key("turn", BigInteger),
    _required("project_id"),
    _required("attempt", BigInteger),
    _required("next_step"),
    _required("run_status"),
    _required("finish_reason"),
    # Milliseconds since the epoch.
    _required("started_at", BigInteger),
    _required("finished_at", BigInteger),
    _required("prompt_tokens", BigInteger),
    _required("completion_tokens", BigInteger),
    _required("cached_tokens", BigInteger),
    _required("reasoning_tokens", BigInteger),
)

RUN_STEPS = Table(
    "run_steps",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("thread_id"),
    _required("run_id"),
    _required("assistant_id"),
    _required("turn", BigInteger),
    _required("type"),
    _required("status"),
    _optional("message_id"),
    _required("created_at", BigInteger),
    _optional("cancelled_at", BigInteger),
    _optional("completed_at", BigInteger),
    _optional("expired_at", BigInteger),
    _optional("expires_at", BigInteger),
    _optional("failed_at", BigInteger),
    _optional("last_error", _OBJECT),
    _required("metadata", JSON),
    # Known when the turn is committed, shown once the step has ended.
    _optional("usage", _OBJECT),
    # The events that streams emitted of the step, for their replay: see models/step_events.py. `delta_sizes` may be
    # as long as the text: only the replay reads it.
    _required("first_event", BigInteger),
    _required("delta_sizes", JSON),
    Index("run_steps_by_run", "run_id", "seq"),
    sqlite_autoincrement=True,
)

TOOL_CALLS = Table(
    "tool_calls",
    METADATA,
    _key("id"),
    _required("project_id"),
    _required("run_id"),
    _required("step_id"),
    _required("turn", BigInteger),
    _required("position", BigInteger),
    _required("type"),
    _required("name"),
    _required("arguments"),
    # Of a function call; NULL until the client answers it.
    _optional("output"),
    # Of a server call: the run's settings of the tool, and the result with the number of its first event; NULL until it
    # is stored. `error` is the result of a call that failed for good. Times are milliseconds since the epoch.
    _optional("options", _OBJECT),
    _optional("result", _OBJECT),
    _optional("result_event", BigInteger),
    _optional("error"),
    _optional("attempt", BigInteger),
    _optional("started_at", BigInteger),
    _optional("finished_at", BigInteger),
    UniqueConstraint("step_id", "position"),
    Index("tool_calls_by_run", "run_id", "turn", "position"),
)

FILES = Table(
    "files",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("created_at", BigInteger),
    _optional("expires_at", BigInteger),
    _required("purpose"),
    _required("filename"),
    _required("bytes", BigInteger),
    _required("status"),
    _optional("status_details"),
    Index("files_by_project", "project_id", "seq"),
    Index("files_by_purpose", "project_id", "purpose", "seq"),
    _partial("files_by_expiry", "expires_at", only=HAS_EXPIRY),
    sqlite_autoincrement=True,
)

UPLOADS = Table(
    "uploads",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("created_at", BigInteger),
    _required("expires_at", BigInteger),
    _required("purpose"),
    _required("filename"),
    _required("bytes", BigInteger),
    _required("mime_type"),
    _required("status"),
    # Of the file that is made of it.
    _optional("expires_after_seconds", BigInteger),
    # Once it is completed: the request's part ids, by which a repeated request is known, and the file as it was then.
    _optional("part_ids", _OBJECT),
    _optional("file", _OBJECT),
    _partial("uploads_pending", "expires_at", only=IS_PENDING_UPLOAD),
    sqlite_autoincrement=True,
)

# The parts of pending uploads.
UPLOAD_PARTS = Table(
    "upload_parts",
    METADATA,
    _key("id"),
    _required("project_id"),
    _required("upload_id"),
    _required("created_at", BigInteger),
    _required("bytes", BigInteger),
    Index("upload_parts_by_upload", "upload_id"),
)

# The keys of objects whose row was deleted, until their bytes are deleted as well.
DOOMED_OBJECTS = Table(
    "doomed_objects",
    METADATA,
    _key("key"),
    _required("project_id"),
    _required("deleted_at", BigInteger),
    Index("doomed_objects_by_age", "deleted_at"),
)

# `in_progress` to `cancelled` count the files in each state, in the transactions that change it.
VECTOR_STORES = Table(
    "vector_stores",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("created_at", BigInteger),
    _optional("name"),
    _optional("description"),
    _required("metadata", JSON),
    _optional("expires_after_days", BigInteger),
    _optional("expires_at", BigInteger),
    _required("last_active_at", BigInteger),
    # Whether it has expired and what it held is gone.
    _required("is_emptied", Boolean),
    # What its vectors are of; NULL: it is searched by keywords alone.
    _optional("embedding_model"),
    _required("dimensions", BigInteger),
    _counter("in_progress"),
    _counter("completed"),
    _counter("failed"),
    _counter("cancelled"),
    _counter("usage_bytes"),
    Index("vector_stores_by_project", "project_id", "seq"),
    _partial("vector_stores_by_expiry", "expires_at", only=CAN_EXPIRE),
    sqlite_autoincrement=True,
)

# `id` is the file's: unique in its store only.
VECTOR_STORE_FILES = Table(
    "vector_store_files",
    METADATA,
    _seq(),
    _required("id"),
    _required("project_id"),
    _required("store_id"),
    _required("created_at", BigInteger),
    _required("filename"),
    _required("status"),
    # Each time that the file is ingested anew has a larger one.
    _required("generation", BigInteger),
    _optional("batch_id"),
    _counter("usage_bytes"),
    _counter("chunks"),
    # How many characters each chunk has in common with the one before: its content is shown without them.
    _optional("chunk_overlaps", _OBJECT),
    _optional("last_error", _OBJECT),
    _required("max_chunk_size_tokens", BigInteger),
    _required("chunk_overlap_tokens", BigInteger),
    _required("attributes", JSON),
    # Milliseconds since the epoch: when the reconciler looks whether a workflow is at it.
    _required("next_check_at", BigInteger),
    UniqueConstraint("store_id", "id"),
    Index("vector_store_files_by_store", "store_id", "seq"),
    Index("vector_store_files_by_status", "store_id", "status", "seq"),
    Index("vector_store_files_by_batch", "batch_id", "seq"),
    Index("vector_store_files_by_batch_status", "batch_id", "status", "seq"),
    Index("vector_store_files_by_file", "id"),
    _partial("vector_store_files_in_progress", "next_check_at", only=IS_INGESTED_NOW),
    sqlite_autoincrement=True,
)

# Attributes by pairs, of which one of the three values is not NULL. Bytes decide the order of texts, as on SQLite.
VECTOR_STORE_FILE_ATTRIBUTES = Table(
    "vector_store_file_attributes",
    METADATA,
    _key("file_seq", BigInteger),
    _key("key"),
    _required("project_id"),
    _required("store_id"),
    _optional("text_value", Text().with_variant(Text(collation="C"), "postgresql")),
    _optional("number_value", Double),
    _optional("boolean_value", Boolean),
    Index("vector_store_file_attributes_by_store", "store_id"),
)

VECTOR_STORE_FILE_BATCHES = Table(
    "vector_store_file_batches",
    METADATA,
    _seq(),
    _id(),
    _required("project_id"),
    _required("store_id"),
    _required("created_at", BigInteger),
    _required("is_cancelled", Boolean),
    _counter("in_progress"),
    _counter("completed"),
    _counter("failed"),
    _counter("cancelled"),
    Index("vector_store_file_batches_by_store", "store_id", "seq"),
    sqlite_autoincrement=True,
)

# What is to be removed from the vector index: a file of a store, or with `file_id` NULL the whole store.
INDEX_DELETIONS = Table(
    "index_deletions",
    METADATA,
    _seq(),
    _required("project_id"),
    _required("store_id"),
    _optional("embedding_model"),
    _required("dimensions", BigInteger),
    _optional("file_id"),
    _required("deleted_at", BigInteger),
    Index("index_deletions_by_age", "deleted_at"),
    sqlite_autoincrement=True,
)

# The places of deleted assistants, threads, messages and files in their lists, for clients that delete while they list.
DELETED_ITEMS = Table(
    "deleted_items",
    METADATA,
    _key("id"),
    _required("project_id"),
    # Only of a message.
    _optional("thread_id"),
    _required("seq", BigInteger),
    _required("deleted_at", BigInteger),
    Index("deleted_items_by_thread", "thread_id"),
    Index("deleted_items_by_age", "deleted_at"),
)

# Requests that a client marked with a key, and their answers as JSON (empty while one is under way).
IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    _key("project_id"),
    _key("key"),
    _required("fingerprint"),
    _required("answer"),
    _required("created_at", BigInteger),
    Index("idempotency_keys_by_age", "created_at"),
)
