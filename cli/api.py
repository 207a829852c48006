"""`holdfast api`: the API alone, which `holdfast up` starts as one of its parts."""

import socket

from api.app import create_app
from cli import start
from cli.apart import check_apart
from cli.api_server import serve_api
from cli.api_url import api_url
from cli.configuration import check_api_keys
from cli.lifetime import run_until_stopped
from cli.ports import Address, api_address, bind
from infra.resources import open_resources
from infra.settings import Settings


def api(settings: Settings, parent: int | None) -> None:
    """Serve the API until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_api_keys(settings)
    check_apart(settings)
    address = api_address(settings)
    run_until_stopped(_serve(settings, address, bind(address)), parent)


async def _serve(settings: Settings, address: Address, sockets: list[socket.socket]) -> None:
    async with open_resources(settings) as resources:

        def say_ready() -> None:
            start.say_ready(f"The Holdfast API is ready on {api_url(settings)}/v1.")

        await serve_api(create_app(resources), sockets, address, say_ready)
