"""The tables. `seq` is the insertion order that lists and cursors follow; `id` is what clients see."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, Text, TextClause, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from models.runs import ACTIVE_STATUSES, RunStatus

# SQLite numbers rows itself only in a column declared INTEGER PRIMARY KEY.
Sequence = BigInteger().with_variant(Integer, "sqlite")
Document = dict[str, Any]


def _status_in(*statuses: RunStatus) -> TextClause:
    return text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(statuses))))


def _and_not_waiting(condition: TextClause) -> TextClause:
    return text(f"{condition} AND NOT waiting")


# A partial index serves a query that has its very condition: use these, not conditions of the same meaning.
IS_ACTIVE = _and_not_waiting(_status_in(*ACTIVE_STATUSES))
IS_WAITING = text("waiting AND status = 'queued'")
IS_WAITING_MESSAGE = text("queued_behind IS NOT NULL")
AWAITS_COMMAND = _and_not_waiting(_status_in(RunStatus.QUEUED, RunStatus.CANCELLING))
# A waiting run has no workflow that would watch its deadline.
HAS_DEADLINE = text(f"({_status_in(RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION)} OR ({IS_WAITING}))")


def _partial(name: str, *columns: str, only: TextClause, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)


class Table(DeclarativeBase):
    type_annotation_map = {str: Text, int: BigInteger, Document: JSON, list[Document]: JSON, dict[str, str]: JSON}


class AssistantRow(Table):
    __tablename__ = "assistants"
    __table_args__ = (Index("assistants_by_project", "project_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[str]
    created_at: Mapped[int]
    name: Mapped[str | None]
    description: Mapped[str | None]
    model: Mapped[str]
    instructions: Mapped[str | None]
    tools: Mapped[list[Document]]
    temperature: Mapped[float | None]
    top_p: Mapped[float | None]
    reasoning_effort: Mapped[str | None]
    tool_resources: Mapped[Document]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    response_format: Mapped[Any] = mapped_column(JSON)


class ThreadRow(Table):
    __tablename__ = "threads"
    __table_args__ = (Index("threads_by_project", "project_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[str]
    created_at: Mapped[int]
    tool_resources: Mapped[Document]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    # What happens to a message or run that arrives while a run is active: "reject" or "enqueue".
    on_active_run: Mapped[str]
    # Whether messages or runs wait; see `thread_queue.py`.
    has_queue: Mapped[bool]
    # See `message_counts.py`, which alone reads and writes it.
    message_count: Mapped[int] = mapped_column(default=0, server_default="0")


class ThreadMetadataRow(Table):
    """A thread's metadata by pairs, so that threads are found by them as quickly as by id."""

    __tablename__ = "thread_metadata"
    __table_args__ = (Index("threads_by_metadata", "project_id", "key", "value", "thread_seq"),)

    thread_seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    project_id: Mapped[str]


class MessageRow(Table):
    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_by_thread", "thread_id", "seq"),
        _partial("messages_by_run", "run_id", "thread_id", "seq", only=text("run_id IS NOT NULL")),
        _partial("messages_waiting", "thread_id", "seq", only=IS_WAITING_MESSAGE),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[str]
    thread_id: Mapped[str]
    created_at: Mapped[int]
    status: Mapped[str]
    incomplete_reason: Mapped[str | None]
    completed_at: Mapped[int | None]
    incomplete_at: Mapped[int | None]
    role: Mapped[str]
    content: Mapped[list[Document]]
    assistant_id: Mapped[str | None]
    run_id: Mapped[str | None]
    attachments: Mapped[list[Document]]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    # The run, by `seq`, that has to end before a waiting message is let in. NULL: it does not wait.
    queued_behind: Mapped[int | None]


class RunRow(Table):
    __tablename__ = "runs"
    __table_args__ = (
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
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[str]
    thread_id: Mapped[str]
    assistant_id: Mapped[str]
    status: Mapped[str]
    # Queued behind another run of its thread: no lock, no workflow yet.
    waiting: Mapped[bool]
    # Milliseconds since the epoch; every other time of a run is in the wire's seconds.
    status_changed_at: Mapped[int]
    created_at: Mapped[int]
    started_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    expires_after_seconds: Mapped[int]
    cancelled_at: Mapped[int | None]
    failed_at: Mapped[int | None]
    completed_at: Mapped[int | None]
    # Which execution ended the run outside its answers, its workflow's or a sweep's: a failed run is taken up again by
    # another one only, a reset. Empty for one that had waited for its thread.
    ended_by: Mapped[str | None]
    # The turn the model is asked for next, or is answering now.
    turn: Mapped[int]
    # The newest attempt at a turn: events and commits of older attempts are rejected.
    fencing_token: Mapped[int] = mapped_column("newest_attempt", default=0, server_default="0")
    # The number after the last event of the run that a commit has brought about; those of deltas come on top.
    next_event: Mapped[int]
    # Whether its thread was created in the same call, and is its first event.
    with_thread: Mapped[bool]
    # How often the run was taken up again after it failed, and the turn that it was last taken up at.
    retries: Mapped[int] = mapped_column(default=0, server_default="0")
    retried_turn: Mapped[int | None]
    # The last message of the thread when the run got it: what came later is not part of its prompt.
    last_message_seq: Mapped[int]
    required_action: Mapped[Document | None] = mapped_column(JSON(none_as_null=True))
    last_error: Mapped[Document | None] = mapped_column(JSON(none_as_null=True))
    incomplete_reason: Mapped[str | None]
    model: Mapped[str]
    instructions: Mapped[str | None]
    tools: Mapped[list[Document]]
    tool_resources: Mapped[Document]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    temperature: Mapped[float | None]
    top_p: Mapped[float | None]
    reasoning_effort: Mapped[str | None]
    max_completion_tokens: Mapped[int | None]
    max_prompt_tokens: Mapped[int | None]
    truncation_strategy: Mapped[Document]
    response_format: Mapped[Any] = mapped_column(JSON)
    tool_choice: Mapped[Any] = mapped_column(JSON)
    parallel_tool_calls: Mapped[bool]
    usage: Mapped[Document | None] = mapped_column(JSON(none_as_null=True))


class RunRetryRow(Table):
    """One time that a failed run was taken up again, and the failure that it was taken up from."""

    __tablename__ = "run_retries"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    # From 1; the newest one's is the run's `retries`.
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str]
    requested_at: Mapped[int]
    # NULL: by a reset in Temporal, whose reason has not been read yet.
    requested_by: Mapped[str | None]
    turn: Mapped[int]
    failed_at: Mapped[int | None]
    # The execution that the run failed in. What it says about the run counts no more.
    failed_execution: Mapped[str]
    error: Mapped[Document | None] = mapped_column(JSON(none_as_null=True))


class TurnRow(Table):
    """A turn that was committed: its presence is the answer to "has this been done?"."""

    __tablename__ = "turns"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[str]
    attempt: Mapped[int]
    next_step: Mapped[str]
    run_status: Mapped[str]
    finish_reason: Mapped[str]
    # Milliseconds since the epoch.
    started_at: Mapped[int]
    finished_at: Mapped[int]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]


class RunStepRow(Table):
    __tablename__ = "run_steps"
    __table_args__ = (Index("run_steps_by_run", "run_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    project_id: Mapped[str]
    thread_id: Mapped[str]
    run_id: Mapped[str]
    assistant_id: Mapped[str]
    turn: Mapped[int]
    type: Mapped[str]
    status: Mapped[str]
    message_id: Mapped[str | None]
    created_at: Mapped[int]
    cancelled_at: Mapped[int | None]
    completed_at: Mapped[int | None]
    expired_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    failed_at: Mapped[int | None]
    last_error: Mapped[Document | None] = mapped_column(JSON(none_as_null=True))
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    # Known when the turn is committed, shown once the step has ended.
    usage: Mapped[Document | None] = mapped_column(JSON(none_as_null=True))
    # What streams showed of the step, so that it can be told again event by event: see models/step_events.py.
    first_event: Mapped[int]
    delta_sizes: Mapped[list[Any]] = mapped_column(JSON)


class ToolCallRow(Table):
    __tablename__ = "tool_calls"
    __table_args__ = (
        UniqueConstraint("step_id", "position"),
        Index("tool_calls_by_run", "run_id", "turn", "position"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    run_id: Mapped[str]
    step_id: Mapped[str]
    turn: Mapped[int]
    position: Mapped[int]
    type: Mapped[str]
    name: Mapped[str]
    arguments: Mapped[str]
    # NULL until the call was answered.
    output: Mapped[str | None]


class DeletedItemRow(Table):
    """Where a deleted assistant, thread or message stood in its list, for clients that delete while they list."""

    __tablename__ = "deleted_items"
    __table_args__ = (
        Index("deleted_items_by_thread", "thread_id"),
        Index("deleted_items_by_age", "deleted_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    # Only of a message.
    thread_id: Mapped[str | None]
    seq: Mapped[int]
    deleted_at: Mapped[int]


class IdempotencyKeyRow(Table):
    """A request that a client marked with a key, and its answer as JSON (empty while it is under way)."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_by_age", "created_at"),)

    project_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    answer: Mapped[str]
    created_at: Mapped[int]
