"""Time limits and retries of every activity, in one place. Pure values: this module is passed through the sandbox."""

from datetime import timedelta

from temporalio.common import RetryPolicy

HEARTBEAT_TIMEOUT = timedelta(seconds=25)
"""A model turn heartbeats in the background: silence this long means that its worker is gone."""

DEADLINE_GRACE = timedelta(seconds=5)
"""A turn watches the run's deadline itself and keeps what the model said by then; Temporal's limit comes after."""

MODEL_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""Without a maximum of attempts: the run's deadline ends them."""

DATABASE_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
DATABASE_TIMEOUT = timedelta(seconds=30)


def short_task_queue(task_queue: str) -> str:
    """Where activities run that only write rows or send commands, in slots of their own.

    Beside the model turns they would wait, cancels and expiries with them, for as long as every slot waits for a model.
    """
    return f"{task_queue}-short"


SWEEP_TIMEOUT = timedelta(minutes=1)
