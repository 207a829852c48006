"""`holdfast worker`: a worker alone, which `holdfast up` starts as one of its parts.

It imports nothing of the API, which would be a quarter of its start: what a killed worker held may wait for this one.
"""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from cli import start
from cli.apart import check_apart
from cli.configuration import check_operator_keys
from cli.lifetime import run_until_stopped
from cli.ports import Address, bind, metrics_address
from infra.resources import Resources, open_resources
from infra.settings import Settings
from infra.temporal import check_temporal
from workflows.worker import GRACEFUL_SHUTDOWN, open_worker

# All that an activity may still do is done then.
END_PATIENCE = GRACEFUL_SHUTDOWN + timedelta(seconds=0.5)


def worker(settings: Settings, parent: int | None) -> None:
    """Carry out runs until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_operator_keys(settings)
    check_apart(settings)
    address = metrics_address(settings)
    run_until_stopped(_work(settings, address, bind(address) if settings.metrics_port else []), parent)


async def _work(settings: Settings, address: Address, sockets: list[socket.socket]) -> None:
    async with open_resources(settings) as resources:
        await until_ended(_carry_out_runs(resources, address, sockets), resources.temporal)


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
    """Do `work`. Cancelled, it may end as a worker does, unless Temporal is gone, which it would wait for."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        while not (await asyncio.wait([task], timeout=END_PATIENCE.total_seconds()))[0]:
            if not await _answers(temporal):
                break
        raise


async def _answers(temporal: Client) -> bool:
    try:
        await check_temporal(temporal)
    except (RPCError, TimeoutError):
        return False
    return True
