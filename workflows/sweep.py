"""Starts the sweep of a task queue and keeps it running. Every worker does so; their number does not matter."""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from workflows.sweep_workflow import SWEEP_EVERY_SIGNAL, Sweep, SweepWorkflow

ENSURE_INTERVAL = timedelta(minutes=1)
log = logging.getLogger(__name__)


def sweep_id(task_queue: str) -> str:
    """The id of the sweep's workflow: one per task queue, because a Temporal namespace may serve several."""
    return f"{task_queue}-sweep"


async def start_sweep(client: Client, task_queue: str, interval_seconds: int) -> None:
    """Sweep the task queue now and at this interval. A running sweep adopts the interval."""
    await _remove_schedule(client, task_queue)
    await _start(client, task_queue, interval_seconds, signal=SWEEP_EVERY_SIGNAL)


async def keep_sweep_running(client: Client, task_queue: str, interval_seconds: int) -> None:
    """Restart a sweep that has ended: an operator terminated it, or Temporal lost it. Never returns.

    A running sweep keeps its interval. Workers with different settings would otherwise change it again and again.
    """
    while True:
        await asyncio.sleep(ENSURE_INTERVAL.total_seconds())
        try:
            await _remove_schedule(client, task_queue)
            await _start(client, task_queue, interval_seconds, signal=None)
        except RPCError as error:
            # Temporal does not answer, so there is nothing to sweep; the next minute tries again.
            log.warning("sweep.start_delayed", extra={"reason": error.message})


async def _start(client: Client, task_queue: str, interval_seconds: int, signal: str | None) -> None:
    await client.start_workflow(
        SweepWorkflow.run,
        Sweep(interval_seconds),
        id=sweep_id(task_queue),
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=signal,
        start_signal_args=[interval_seconds],
    )


async def _remove_schedule(client: Client, task_queue: str) -> None:
    """Older versions swept by a schedule of the same id. A worker of such a version creates it again at its start."""
    try:
        await client.get_schedule_handle(sweep_id(task_queue)).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
