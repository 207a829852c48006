"""The tables of runs, their turns, steps and tool calls."""

from sqlalchemy import JSON, BigInteger, Boolean, Double, Index, Table, TextClause, UniqueConstraint, text

from infra.database.columns import METADATA, OBJECT, counter, key, object_id, optional, partial, required, seq
from models.runs import ACTIVE_STATUSES, RunStatus


def status_in(*statuses: RunStatus) -> TextClause:
    """A condition without parameters, as partial indexes need it and as costs a statement least."""
    return text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(statuses))))


def _and_not_waiting(condition: TextClause) -> TextClause:
    return text(f"{condition} AND NOT waiting")


IS_ACTIVE = _and_not_waiting(status_in(*ACTIVE_STATUSES))
IS_WAITING = text("waiting AND status = 'queued'")
AWAITS_COMMAND = _and_not_waiting(status_in(RunStatus.QUEUED, RunStatus.CANCELLING))
# A waiting run has no workflow that would watch its deadline.
HAS_DEADLINE = text(f"({status_in(RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION)} OR ({IS_WAITING}))")

RUNS = Table(
    "runs",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("thread_id"),
    required("assistant_id"),
    required("status"),
    # Queued behind another run of its thread: no lock, no workflow yet.
    required("waiting", Boolean),
    # Milliseconds since the epoch; every other time of a run is in the wire's seconds.
    required("status_changed_at", BigInteger),
    required("created_at", BigInteger),
    optional("started_at", BigInteger),
    optional("expires_at", BigInteger),
    required("expires_after_seconds", BigInteger),
    optional("cancelled_at", BigInteger),
    optional("failed_at", BigInteger),
    optional("completed_at", BigInteger),
    # Which execution finalized the run outside its answers, its workflow's or a sweep's: only another execution, a
    # reset, resumes a failed run. Empty for a run that had waited for its thread.
    optional("ended_by"),
    # The turn the model is asked for next, or is answering now.
    required("turn", BigInteger),
    # The fencing token of the newest attempt at a turn: events and commits of older attempts are rejected.
    counter("newest_attempt"),
    # The number after the last event of the run that a commit has numbered; those of deltas come on top.
    required("next_event", BigInteger),
    # The number of the first event of its finalization, after which the stream closes what its last answer left open.
    optional("final_event", BigInteger),
    # Whether its thread was created in the same call, and is its first event.
    required("with_thread", Boolean),
    # How often the run was resumed after it failed, and the turn at which it was last resumed.
    counter("retries"),
    optional("retried_turn", BigInteger),
    # The last message of the thread when the run got it: later messages are not part of its prompt.
    required("last_message_seq", BigInteger),
    optional("required_action", OBJECT),
    optional("last_error", OBJECT),
    optional("incomplete_reason"),
    required("model"),
    optional("instructions"),
    required("tools", JSON),
    required("tool_resources", JSON),
    required("metadata", JSON),
    optional("temperature", Double),
    optional("top_p", Double),
    optional("reasoning_effort"),
    optional("max_completion_tokens", BigInteger),
    optional("max_prompt_tokens", BigInteger),
    required("truncation_strategy", JSON),
    required("response_format", JSON),
    required("tool_choice", JSON),
    required("parallel_tool_calls", Boolean),
    optional("usage", OBJECT),
    Index("runs_by_thread", "thread_id", "seq"),
    Index("runs_by_project", "project_id", "seq"),
    Index("runs_by_status", "project_id", "status", "seq"),
    Index("runs_by_assistant", "project_id", "assistant_id", "seq"),
    Index("runs_by_creation", "project_id", "created_at"),
    partial("runs_by_failure", "project_id", "failed_at", only=text("failed_at IS NOT NULL")),
    # The thread lock: one active run per thread, decided by the database.
    partial("runs_active", "thread_id", unique=True, only=IS_ACTIVE),
    partial("runs_waiting", "thread_id", "seq", only=IS_WAITING),
    partial("runs_awaiting_command", "status_changed_at", only=AWAITS_COMMAND),
    partial("runs_with_deadline", "expires_at", only=HAS_DEADLINE),
    sqlite_autoincrement=True,
)

# Each time that a failed run was resumed, and the failure that it was resumed from.
RUN_RETRIES = Table(
    "run_retries",
    METADATA,
    key("run_id"),
    # From 1; the newest one's is the run's `retries`.
    key("number", BigInteger),
    required("project_id"),
    required("requested_at", BigInteger),
    # NULL: by a reset in Temporal, whose reason has not been read yet.
    optional("requested_by"),
    required("turn", BigInteger),
    optional("failed_at", BigInteger),
    # The execution that the run failed in, which is superseded: it finalizes the run no more.
    required("failed_execution"),
    optional("error", OBJECT),
)

# Turns that were committed: a row's presence is the answer to "has this been done?".
TURNS = Table(
    "turns",
    METADATA,
    key("run_id"),
    key("turn", BigInteger),
    required("project_id"),
    required("attempt", BigInteger),
    required("next_step"),
    required("run_status"),
    required("finish_reason"),
    # Milliseconds since the epoch.
    required("started_at", BigInteger),
    required("finished_at", BigInteger),
    required("prompt_tokens", BigInteger),
    required("completion_tokens", BigInteger),
    required("cached_tokens", BigInteger),
    required("reasoning_tokens", BigInteger),
    optional("provider_state", OBJECT),
)

RUN_STEPS = Table(
    "run_steps",
    METADATA,
    seq(),
    object_id(),
    required("project_id"),
    required("thread_id"),
    required("run_id"),
    required("assistant_id"),
    required("turn", BigInteger),
    required("type"),
    required("status"),
    optional("message_id"),
    required("created_at", BigInteger),
    optional("cancelled_at", BigInteger),
    optional("completed_at", BigInteger),
    optional("expired_at", BigInteger),
    optional("expires_at", BigInteger),
    optional("failed_at", BigInteger),
    optional("last_error", OBJECT),
    required("metadata", JSON),
    # Known when the turn is committed, shown once the step has ended.
    optional("usage", OBJECT),
    # The events that streams emitted of the step, for their replay: see models/step_events.py. `delta_sizes` may be
    # as long as the text: only the replay reads it.
    required("first_event", BigInteger),
    required("delta_sizes", JSON),
    Index("run_steps_by_run", "run_id", "seq"),
    sqlite_autoincrement=True,
)

TOOL_CALLS = Table(
    "tool_calls",
    METADATA,
    key("id"),
    required("project_id"),
    required("run_id"),
    required("step_id"),
    required("turn", BigInteger),
    required("position", BigInteger),
    required("type"),
    required("name"),
    required("arguments"),
    # Of a function call; NULL until the client answers it.
    optional("output"),
    # Of a server call: the run's settings of the tool, and the result with the number of its first event; NULL until it
    # is stored. `error` is the result of a call that failed for good. Times are milliseconds since the epoch.
    optional("options", OBJECT),
    optional("result", OBJECT),
    optional("result_event", BigInteger),
    optional("error"),
    # Of a call of the code interpreter whose code may have begun to run: see `CodeCell`.
    optional("cell", OBJECT),
    optional("attempt", BigInteger),
    optional("started_at", BigInteger),
    optional("finished_at", BigInteger),
    UniqueConstraint("step_id", "position"),
    Index("tool_calls_by_run", "run_id", "turn", "position"),
)
