"""Time limits and retries of every activity, and how much history a run may fill, in one place.

Pure values: this module is passed through the sandbox.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy

HEARTBEAT_TIMEOUT = timedelta(seconds=20)
"""A model turn heartbeats in the background: silence this long means that its worker is gone."""

DEADLINE_GRACE = timedelta(seconds=5)
"""A turn watches the run's deadline itself and keeps what the model said by then; Temporal's limit comes after."""

MODEL_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""Without a maximum of attempts: the run's deadline ends them."""

DATABASE_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
DATABASE_TIMEOUT = timedelta(seconds=30)


def control_task_queue(task_queue: str) -> str:
    """Where activities run that only write rows or send commands, in slots of their own.

    Beside the model turns, cancels and expiries would wait for as long as every slot waits for a model.
    """
    return f"{task_queue}-short"


def ingestion_task_queue(task_queue: str) -> str:
    """Where files are parsed and embedded: that takes processors, of which model turns need theirs."""
    return f"{task_queue}-ingest"


INGEST_ATTEMPT_TIMEOUT = timedelta(hours=6)
INGEST_DEADLINE = timedelta(hours=24)
"""From when its workflow began, all waiting and all attempts together: then the file has failed."""

SWEEP_TIMEOUT = timedelta(minutes=1)

SWEEP_FIRST_LOOK_BACK = timedelta(hours=1)
SWEEP_LIST_DELAY = timedelta(minutes=1)
"""Temporal's list of workflows lags behind, and its clock is not ours."""

SWEEP_EXECUTION_LENGTH = timedelta(hours=1)
SWEEP_EXECUTION_EVENTS = 8_000
"""After either, the sweep continues as a new execution. One every ten seconds adds some 6,100 events an hour."""

MAX_HISTORY_EVENTS = 50_000
MAX_HISTORY_BYTES = 48 * 1024 * 1024
"""Temporal terminates a workflow at 51,200 events or 50 MiB. A turn adds about 14 events, 2 kB: this leaves room to end
the run properly, and for signals that come meanwhile."""
