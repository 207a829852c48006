"""The `holdfast` program: its commands and options. Each command imports only the modules that it runs."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli import start
from cli.files import app as files
from cli.runs import app as runs
from infra.errors import StartFailed

if TYPE_CHECKING:
    from infra.settings import Settings

app = typer.Typer(
    help="A self-hosted server for the OpenAI Assistants API in which every run is a durable Temporal workflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(runs, name="runs")
app.add_typer(files, name="files")

ParentOption = Annotated[
    int | None, typer.Option(metavar="PID", help="Stop as soon as process PID is no longer the parent.")
]


@app.command()
def up(stop_with_parent: ParentOption = None) -> None:
    """Serve everything from here: the API, workers, an event stream, and Temporal unless TEMPORAL_ADDRESS names one."""
    start.begin()
    settings = _settings()
    from cli.up import up as serve_everything

    serve_everything(settings, stop_with_parent)


@app.command()
def api(stop_with_parent: ParentOption = None) -> None:
    """Serve the API only."""
    start.begin()
    settings = _settings()
    from cli.api import api as serve_api

    serve_api(settings, stop_with_parent)


@app.command()
def worker(stop_with_parent: ParentOption = None) -> None:
    """Run a worker only."""
    start.begin()
    settings = _settings()
    from cli.worker import worker as run_worker

    run_worker(settings, stop_with_parent)


@app.command()
def sandbox(stop_with_parent: ParentOption = None) -> None:
    """Run the code of code_interpreter only: needs no database, no keys, and none of the other settings."""
    start.begin()
    from cli.configuration import load_settings_of_environment
    from cli.logs import configure_logs
    from cli.sandbox import sandbox as run_sandbox

    settings = load_settings_of_environment()
    configure_logs(settings)
    run_sandbox(settings, stop_with_parent)


@app.command()
def sandbox_packages() -> None:
    """Install the packages that the code of code_interpreter may import, if they are not there."""
    settings = _settings()
    from cli.sandbox_packages import install_packages

    install_packages(settings)


@app.command()
def migrate(no_worker_lives: Annotated[bool, typer.Option("--no-worker-lives", hidden=True)] = False) -> None:
    """Bring the database to the newest schema."""
    start.begin()
    settings = _settings()
    from cli.migrate import migrate as migrate_database

    migrate_database(settings, no_worker_lives)


def _settings() -> "Settings":
    from cli.configuration import load_settings
    from cli.logs import configure_logs

    settings = load_settings()
    configure_logs(settings)
    return settings


def main() -> None:
    try:
        app()
    except StartFailed as error:
        sys.exit(f"holdfast: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
