"""`holdfast up`: API and worker in one process, the embedded Temporal server beside it."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager, nullcontext

from api.app import create_app
from cli import start
from cli.api_server import serve_api
from cli.configuration import check_api_keys
from cli.data_folder import hold_data_folder
from cli.lifetime import run_until_stopped
from cli.ports import Address, api_address, bind, require_free
from cli.ready_message import ready_message
from cli.temporal_server import TemporalServer, running
from infra.database.migrations import migrate
from infra.resources import open_resources
from infra.settings import Settings
from infra.temporal import uses_embedded_server
from workflows.worker import open_worker


def up(settings: Settings, parent: int | None) -> None:
    """Serve until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_api_keys(settings)
    with hold_data_folder(settings.data_dir) as folder:
        address = api_address(settings)
        temporal = TemporalServer.of(settings) if uses_embedded_server() else None
        if temporal:
            temporal.end_orphan()
        require_free([address, *(temporal.addresses if temporal else ())])
        run_until_stopped(_serve(settings, temporal, address, bind(address)), parent, folder.note_stopping)


async def _serve(
    settings: Settings, temporal: TemporalServer | None, address: Address, sockets: list[socket.socket]
) -> None:
    # What is opened last is closed first: API, worker, resources, Temporal.
    async with _running(temporal):
        await asyncio.to_thread(migrate, settings.database)
        async with open_resources(settings) as resources, open_worker(resources):

            def say_ready() -> None:
                start.say_ready(ready_message(resources, shows_ui=temporal is not None))

            await serve_api(create_app(resources), sockets, address, say_ready)


def _running(temporal: TemporalServer | None) -> AbstractAsyncContextManager[None]:
    return running(temporal) if temporal else nullcontext()
