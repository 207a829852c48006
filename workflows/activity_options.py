"""Time limits and retries of all activities, and the limits of a run's history.

Pure values: this module is passed through the sandbox.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy

from models.tool_calls import ToolKind

HEARTBEAT_TIMEOUT = timedelta(seconds=20)
"""A model turn sends heartbeats in the background: a worker without one for this long counts as dead."""

DEADLINE_GRACE = timedelta(seconds=5)
"""A turn itself ends at the run's deadline and stores the partial answer; Temporal's limit comes later."""

MODEL_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""Without a maximum of attempts: the run's deadline ends the retries."""

TOOL_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
)
"""Of outages, and of calls that wait for files: a tool that fails for good has that as its result."""

TOOL_TIME_LIMITS = {
    ToolKind.FILE_SEARCH: timedelta(seconds=120),
    # A search and a page: each has a limit of its own, well below.
    ToolKind.WEB_RETRIEVAL: timedelta(seconds=120),
    # Beside the cell's own limit: to restore the files of a session, and to store those that the code has changed.
    ToolKind.CODE_INTERPRETER: timedelta(minutes=15),
    ToolKind.UNKNOWN_FUNCTION: timedelta(seconds=10),
}
"""The time limit of one attempt at a server call, and never more than the run has left."""

DATABASE_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
DATABASE_TIMEOUT = timedelta(seconds=30)


def control_task_queue(task_queue: str) -> str:
    """The queue of activities that only write rows or send commands, with slots of their own.

    On the queue of model turns, cancels and expiries would wait for as long as every slot waits for a model.
    """
    return f"{task_queue}-short"


def ingestion_task_queue(task_queue: str) -> str:
    """Where files are parsed and embedded: that takes processors, of which model turns need theirs."""
    return f"{task_queue}-ingest"


INGEST_ATTEMPT_TIMEOUT = timedelta(hours=6)
INGEST_DEADLINE = timedelta(hours=24)
"""From when its workflow began, all waiting and all attempts together: then the file has failed."""

CRAWL_DEADLINE = timedelta(hours=6)
"""A crawl itself ends when its own time is over. Outages may keep it from that."""

SWEEP_TIMEOUT = timedelta(minutes=1)

SWEEP_FIRST_LOOK_BACK = timedelta(hours=1)
SWEEP_LIST_DELAY = timedelta(minutes=1)
"""Temporal's list of workflows is delayed, and its clock differs from ours."""

SWEEP_EXECUTION_LENGTH = timedelta(hours=1)
SWEEP_EXECUTION_EVENTS = 8_000
"""After either, the sweep continues as a new execution. A sweep every ten seconds adds some 6,100 events an hour."""

MAX_HISTORY_EVENTS = 50_000
MAX_HISTORY_BYTES = 48 * 1024 * 1024
"""Temporal terminates a workflow at 51,200 events or 50 MiB. A turn adds about 14 events, 2 kB: this leaves room for
the finalization of the run, and for signals that arrive meanwhile."""
