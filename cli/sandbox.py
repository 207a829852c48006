"""`holdfast sandbox`: the process that runs code. It has neither database nor keys, and nothing in its environment."""

import asyncio
import os
import socket
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import uvicorn

from cli import start
from cli.configuration import InvalidSettings
from cli.http_server import HttpServer
from cli.lifetime import run_until_stopped
from cli.ports import Address, bind, listen
from infra.sandbox.sandbox import Sandbox, open_sandbox
from infra.sandbox.service import create_service
from infra.settings import Settings
from models.code_cells import PackageState

DRAIN_TIMEOUT = timedelta(seconds=1)
PACKAGES_POLL_INTERVAL = timedelta(seconds=1)

log = structlog.get_logger()


def sandbox(settings: Settings, parent: int | None) -> None:
    """Run code until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    # The settings are read: what else the environment has is nothing that a sandbox needs.
    os.environ.clear()
    address = _tcp_address(settings)
    bound = bind(address) if address else [_bind_path(Path(urlsplit(settings.sandbox_listen).path))]
    run_until_stopped(_serve(settings, bound, address), parent)


def _tcp_address(settings: Settings) -> Address | None:
    if settings.sandbox_listen.startswith("unix:"):
        return None
    if not settings.sandbox_token:
        raise InvalidSettings(
            f"HOLDFAST_SANDBOX_LISTEN={settings.sandbox_listen} is a port: set HOLDFAST_SANDBOX_TOKEN as well, "
            "here and for the API and the workers."
        )
    host, _, port = settings.sandbox_listen.rpartition(":")
    return Address("HOLDFAST_SANDBOX_LISTEN", host.strip("[]"), int(port))


def _bind_path(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        bound.bind(str(path))
    finally:
        os.umask(mask)
    return bound


async def _serve(settings: Settings, bound: list[socket.socket], address: Address | None) -> None:
    async with open_sandbox(settings) as opened, asyncio.TaskGroup() as tasks:
        _log_isolation(opened)
        noting = tasks.create_task(_log_packages(opened))
        if address:
            listen(bound, address)
        else:
            bound[0].listen()
        try:
            await _serve_until_cancelled(opened, settings, bound)
        finally:
            noting.cancel()


async def _serve_until_cancelled(opened: Sandbox, settings: Settings, bound: list[socket.socket]) -> None:
    token = "" if settings.sandbox_listen.startswith("unix:") else settings.sandbox_token
    server = HttpServer(
        uvicorn.Config(
            create_service(opened, token),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=int(DRAIN_TIMEOUT.total_seconds()),
        )
    )
    serving = asyncio.create_task(server.serve(bound))
    start.say_ready(f"The Holdfast sandbox is ready on {settings.sandbox_listen}.")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def _log_isolation(opened: Sandbox) -> None:
    if opened.isolation.name:
        log.info("sandbox.isolated", isolation=opened.isolation.name)
    else:
        log.error("sandbox.refused", reason=opened.isolation.refusal)


async def _log_packages(opened: Sandbox) -> None:
    noted = None
    while (state := opened.packages.state())[0] is not PackageState.READY:
        if state != noted:
            log.warning(f"sandbox.packages_{state[0]}", note=state[1])
            noted = state
        await asyncio.sleep(PACKAGES_POLL_INTERVAL.total_seconds())
    log.info("sandbox.packages_ready", folder=str(opened.packages.folder))
