"""The parts of `holdfast up` as processes of their own, for many machines, with Temporal and the database elsewhere."""

import asyncio
import socket

from api.app import create_app
from cli.api_server import serve_api
from cli.data_folder import make_data_folder
from cli.lifetime import run_until_stopped
from cli.output import say
from cli.ports import Address, api_address, bind
from cli.ready_message import api_url
from infra.database import migrations
from infra.resources import open_resources
from infra.settings import Settings
from workflows.worker import open_worker


def api(settings: Settings) -> None:
    """Serve the API until stopped. Raises `StartFailed`."""
    address = api_address(settings)
    run_until_stopped(_serve(settings, address, bind(address)))


def worker(settings: Settings) -> None:
    """Carry out runs until stopped. Raises `StartFailed`."""
    run_until_stopped(_work(settings))


def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema. Raises `StartFailed`."""
    if not settings.database_url:
        make_data_folder(settings.data_dir)
    migrations.migrate(settings.database)


async def _serve(settings: Settings, address: Address, sockets: list[socket.socket]) -> None:
    async with open_resources(settings) as resources:

        def say_ready() -> None:
            say(f"The Holdfast API is ready on {api_url(settings)}/v1.")

        await serve_api(create_app(resources), sockets, address, say_ready)


async def _work(settings: Settings) -> None:
    async with open_resources(settings) as resources, open_worker(resources):
        say(f"The Holdfast worker is ready on task queue {settings.task_queue}.")
        await asyncio.Event().wait()
