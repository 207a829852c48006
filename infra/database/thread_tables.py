"""The tables of assistants, threads and messages."""

from sqlalchemy import JSON, BigInteger, Boolean, Double, Index, Table, text

from infra.database.columns import METADATA, counter, key, object_id, optional, partial, required, seq

IS_WAITING_MESSAGE = text("queued_behind IS NOT NULL")

ASSISTANTS = Table(
    "assistants",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("created_at", BigInteger),
    optional("name"),
    optional("description"),
    required("model"),
    optional("instructions"),
    required("tools", JSON),
    optional("temperature", Double),
    optional("top_p", Double),
    optional("reasoning_effort"),
    required("tool_resources", JSON),
    required("metadata", JSON),
    required("response_format", JSON),
    Index("assistants_by_project", "project_id", "seq"),
    sqlite_autoincrement=True,
)

THREADS = Table(
    "threads",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("created_at", BigInteger),
    required("tool_resources", JSON),
    required("metadata", JSON),
    # What happens to a message or run that arrives while a run is active: "reject" or "enqueue".
    required("on_active_run"),
    # Whether messages or runs wait; see `thread_queue.py`.
    required("has_queue", Boolean),
    # See `message_counts.py`, the only module that reads and writes it.
    counter("message_count"),
    Index("threads_by_project", "project_id", "seq"),
    sqlite_autoincrement=True,
)

# A thread's metadata by pairs, so that threads are found by them as quickly as by id.
THREAD_METADATA = Table(
    "thread_metadata",
    METADATA,
    key("thread_seq", BigInteger),
    key("key"),
    required("value"),
    required("project_id"),
    Index("threads_by_metadata", "project_id", "key", "value", "thread_seq"),
)

MESSAGES = Table(
    "messages",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("thread_id"),
    required("created_at", BigInteger),
    required("status"),
    optional("incomplete_reason"),
    optional("completed_at", BigInteger),
    optional("incomplete_at", BigInteger),
    required("role"),
    required("content", JSON),
    optional("assistant_id"),
    optional("run_id"),
    required("attachments", JSON),
    required("metadata", JSON),
    # The run, by `seq`, that has to end before a waiting message is admitted. NULL: it does not wait.
    optional("queued_behind", BigInteger),
    Index("messages_by_thread", "thread_id", "seq"),
    partial("messages_by_run", "run_id", "thread_id", "seq", only=text("run_id IS NOT NULL")),
    partial("messages_waiting", "thread_id", "seq", only=IS_WAITING_MESSAGE),
    sqlite_autoincrement=True,
)
