"""`holdfast api`, `worker` and `migrate`: what `holdfast up` starts on one machine, and many machines run apart."""

import asyncio
import socket
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from api.app import create_app
from api.authentication import Keyring
from cli import start
from cli.api_server import serve_api
from cli.api_url import api_url
from cli.configuration import check_api_keys, check_operator_keys
from cli.data_folder import make_data_folder
from cli.lifetime import run_until_stopped
from cli.metrics_server import serving_metrics
from cli.ports import Address, api_address, bind, metrics_address
from infra.database import migrations, workers
from infra.database.engine import connecting, open_database
from infra.errors import StartFailed
from infra.resources import Resources, open_resources
from infra.settings import Settings
from infra.temporal import check_temporal
from workflows.worker import GRACEFUL_SHUTDOWN, open_worker

# All that an activity may still do is done then.
END_PATIENCE = GRACEFUL_SHUTDOWN + timedelta(seconds=0.5)


class EventStreamMissing(StartFailed):
    """No event stream carries events between the processes of API and workers."""

    def __init__(self) -> None:
        super().__init__(
            "The events of runs have no way from one process to another: set HOLDFAST_EVENT_STREAM_URL to a Redis or "
            "Valkey, as in redis://localhost:6379/0, or run `holdfast up`, which starts one of its own."
        )


def api(settings: Settings, parent: int | None) -> None:
    """Serve the API until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_api_keys(settings)
    _check_apart(settings)
    address = api_address(settings)
    run_until_stopped(_serve(settings, address, bind(address)), parent)


def worker(settings: Settings, parent: int | None) -> None:
    """Carry out runs until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_operator_keys(settings)
    _check_apart(settings)
    address = metrics_address(settings)
    run_until_stopped(_work(settings, address, bind(address) if settings.metrics_port else []), parent)


def migrate(settings: Settings, no_worker_lives: bool) -> None:
    """Bring the database to the newest schema. Raises `StartFailed`.

    `no_worker_lives` is what the caller knows: workers that the database still has are gone.
    """
    if not settings.database_url:
        make_data_folder(settings.data_dir)
    migrations.migrate(settings.database)
    if no_worker_lives:
        asyncio.run(_declare_workers_gone(settings))


def _check_apart(settings: Settings) -> None:
    if not settings.event_stream_url:
        raise EventStreamMissing


async def _declare_workers_gone(settings: Settings) -> None:
    with connecting(settings.database):
        async with open_database(settings.database) as database:
            await database.write(workers.declare_all_gone)


async def _serve(settings: Settings, address: Address, sockets: list[socket.socket]) -> None:
    async with open_resources(settings) as resources:

        def say_ready() -> None:
            start.say_ready(f"The Holdfast API is ready on {api_url(settings)}/v1.")

        await serve_api(create_app(resources), sockets, address, say_ready)


async def _work(settings: Settings, address: Address, sockets: list[socket.socket]) -> None:
    async with open_resources(settings) as resources:
        await until_ended(_carry_out_runs(resources, address, sockets), resources.temporal)


async def _carry_out_runs(resources: Resources, address: Address, sockets: list[socket.socket]) -> None:
    async with (
        open_worker(resources),
        # Last: a worker that serves metrics is at work.
        serving_metrics(resources.metrics, Keyring.of(resources.settings), sockets, address),
    ):
        start.say_ready(f"The Holdfast worker is ready on task queue {resources.settings.task_queue}.")
        await asyncio.Event().wait()


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
