"""`holdfast up`: everything on one machine. A supervisor that serves nothing itself, and a process for each part.

Temporal and the event stream start first and end last; between them the API and the workers run, as `holdfast api` and
`holdfast worker` do elsewhere. A part that dies is started again; one that dies again and again ends the whole.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from cli import start, temporal_server
from cli.api_url import api_url
from cli.configuration import check_api_keys
from cli.data_folder import HeldFolder, hold_data_folder
from cli.lifetime import log_stop, run_until_stopped
from cli.parts import Part, StartRefused, running
from cli.ports import api_address, require_free
from cli.ready_message import ready_message
from cli.sandbox_part import prepared_sandbox
from cli.temporal_server import TemporalServer
from cli.valkey_server import running_valkey
from infra.language_model.catalogue import ModelCatalogue
from infra.settings import Settings
from infra.temporal import uses_embedded_server

CODE = Path(__file__).parents[1]


def up(settings: Settings, parent: int | None) -> None:
    """Serve until stopped, or until `parent` is no longer the parent process. Raises `StartFailed`."""
    check_api_keys(settings)
    with hold_data_folder(settings.data_dir) as folder:
        catalogue = ModelCatalogue.load(settings.models, settings.scripted_model)
        temporal = TemporalServer.of(settings) if uses_embedded_server() else None
        if temporal:
            temporal.end_orphan()
        require_free([api_address(settings), *(temporal.addresses if temporal else ())])
        folder.note_address(api_url(settings))
        try:
            run_until_stopped(_serve(settings, catalogue, temporal), parent, _noting_stop(folder, temporal))
        except StartRefused:
            # The part has said why.
            sys.exit(1)


def _noting_stop(folder: HeldFolder, temporal: TemporalServer | None) -> Callable[[str], None]:
    def note(reason: str) -> None:
        log_stop(reason)
        folder.note_stopping()
        if temporal:
            temporal.note_stopping()

    return note


async def _serve(settings: Settings, catalogue: ModelCatalogue, temporal: TemporalServer | None) -> None:
    async with (
        _temporal(temporal),
        _event_stream(settings) as event_stream_url,
        prepared_sandbox(settings, _command, _python_path()) as sandbox,
    ):
        environment = _environment(event_stream_url, sandbox.url)
        # In a process of its own, as its libraries would take 30 MB of this one for good.
        await Part("migration", _migration(settings), environment).run_to_end()
        async with running(_api(environment), *_workers(settings, environment), *sandbox.parts):
            start.say_ready(ready_message(settings, catalogue, shows_ui=temporal is not None))
            await asyncio.Event().wait()


def _temporal(server: TemporalServer | None) -> AbstractAsyncContextManager[None]:
    return temporal_server.running(server) if server else nullcontext()


def _event_stream(settings: Settings) -> AbstractAsyncContextManager[str]:
    url = settings.event_stream_url
    return nullcontext(url) if url else running_valkey(settings.data_dir.resolve())


def _environment(event_stream_url: str, sandbox_url: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "HOLDFAST_EVENT_STREAM_URL": event_stream_url,
        "HOLDFAST_SANDBOX_URL": sandbox_url,
        "PYTHONPATH": _python_path(),
    }


def _python_path() -> str:
    return os.pathsep.join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])])


def _migration(settings: Settings) -> list[str]:
    # The lock of the folder proves it; a database elsewhere may have other workers.
    return _command("migrate") if settings.database_url else _command("migrate", "--no-worker-lives")


def _api(environment: Mapping[str, str]) -> Part:
    return _part("API", "api", environment)


def _workers(settings: Settings, environment: Mapping[str, str]) -> list[Part]:
    ports = [settings.metrics_port and settings.metrics_port + number for number in range(settings.workers)]
    return [
        _part(f"worker {number}", "worker", {**environment, "HOLDFAST_METRICS_PORT": str(port)})
        for number, port in enumerate(ports, 1)
    ]


def _part(name: str, command: str, environment: Mapping[str, str]) -> Part:
    # Where the system knows no death signal, it ends by itself when this process is gone.
    return Part(name, _command(command, "--stop-with-parent", str(os.getpid())), environment)


def _command(*arguments: str) -> list[str]:
    # Not from the working folder, which may have modules of the same names.
    return [sys.executable, "-P", "-m", "cli.main", *arguments]
