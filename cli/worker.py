"""`holdfast worker`: a worker alone, which `holdfast up` starts as one of its parts.

It imports nothing of the API, which would be a quarter of its start: what a killed worker held may wait for this one.
"""

import asyncio
import socket
import time
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli import start
from cli.apart import check_apart
from cli.configuration import check_operator_keys
from cli.lifetime import end_at_once, run_until_stopped
from cli.ports import Address, bind, metrics_address
from infra.resources import Resources, open_resources
from infra.settings import Settings
from infra.temporal import check_temporal
from workflows.worker import GRACEFUL_SHUTDOWN, open_worker

# All that an activity may still do is done then.
END_PATIENCE = GRACEFUL_SHUTDOWN + timedelta(seconds=0.5)
# For turns that can still be committed without Temporal. Time is left to end before `holdfast up` kills this process.
PATIENCE_WITHOUT_TEMPORAL = GRACEFUL_SHUTDOWN - timedelta(seconds=1)
CHECK_INTERVAL = timedelta(seconds=0.25)
NO_ANSWER_IN_TIME = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)


class TemporalGone(Exception):
    """The work cannot end: it waits for Temporal, which no longer answers."""


def worker(settings: Settings, parent: int | None) -> None:
    """Carry out runs until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_operator_keys(settings)
    check_apart(settings)
    address = metrics_address(settings)
    run_until_stopped(_work(settings, address, bind(address) if settings.metrics_port else []), parent)


async def _work(settings: Settings, address: Address, sockets: list[socket.socket]) -> None:
    async with open_resources(settings) as resources:
        try:
            await until_ended(_carry_out_runs(resources, address, sockets), resources.temporal)
        except TemporalGone:
            # The SDK's worker cannot be cut short, and activities would report resources that are closed under them.
            end_at_once(0)


async def _carry_out_runs(resources: Resources, address: Address, sockets: list[socket.socket]) -> None:
    async with (
        open_worker(resources),
        # Last: a worker that serves metrics is at work.
        _serving_metrics(resources, sockets, address) if sockets else nullcontext(),
    ):
        start.say_ready(f"The Holdfast worker is ready on task queue {resources.settings.task_queue}.")
        await asyncio.Event().wait()


def _serving_metrics(
    resources: Resources, sockets: list[socket.socket], address: Address
) -> AbstractAsyncContextManager[None]:
    from api.authentication import Keyring
    from cli.metrics_server import serving_metrics

    return serving_metrics(resources.metrics, Keyring.of(resources.settings), sockets, address)


async def until_ended(work: Coroutine[Any, Any, None], temporal: Client) -> None:
    """Do `work`. Cancelled, it may end as a worker does. Raises `TemporalGone` where it would wait for Temporal."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await _wait_for_end(task, temporal)
        raise


async def _wait_for_end(task: asyncio.Task[None], temporal: Client) -> None:
    began = time.monotonic()
    while not (await asyncio.wait([task], timeout=CHECK_INTERVAL.total_seconds()))[0]:
        # From the beginning, so that it is known when the patience ends.
        failure = await _failure(temporal)
        is_refusal = isinstance(failure, RPCError) and failure.status not in NO_ANSWER_IN_TIME
        patience = PATIENCE_WITHOUT_TEMPORAL if is_refusal else END_PATIENCE
        if failure and time.monotonic() - began > patience.total_seconds():
            raise TemporalGone from failure


async def _failure(temporal: Client) -> RPCError | TimeoutError | None:
    try:
        await check_temporal(temporal)
    except (RPCError, TimeoutError) as error:
        return error
    return None
