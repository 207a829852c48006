"""`holdfast runs`: the commands with which operators list, inspect, retry and cancel runs. Imports are deferred."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from cli.known_values import RunErrorCode, RunStatus
from cli.ops_options import KeyOption, UrlOption, began, check_choice, duration, ops_client

app = typer.Typer(help="See runs, retry failed ones, cancel others: through the API, from any machine.")

# A run that is being cancelled needs no second cancel.
CANCELLABLE = (RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION)


JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON for each run.")]
StatusOption = Annotated[RunStatus | None, typer.Option(help="Runs with this status.")]
AssistantOption = Annotated[str | None, typer.Option(metavar="ASSISTANT", help="Runs of this assistant.")]
ThreadOption = Annotated[str | None, typer.Option(metavar="THREAD", help="Runs on this thread.")]
ErrorOption = Annotated[RunErrorCode | None, typer.Option(help="Runs that failed with this error.")]
SinceOption = Annotated[
    timedelta | None,
    typer.Option(
        parser=duration, metavar="AGE", help="Runs created since then (failed runs: failed since then): 30m, 1h, 2d."
    ),
]
RunArguments = Annotated[list[str] | None, typer.Argument(metavar="RUN", help="Ids of runs.")]
MostOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the oldest first.")]


@app.command("list")
def list_runs(
    status: StatusOption = None,
    assistant: AssistantOption = None,
    thread: ThreadOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """List runs, the newest first."""
    from cli.bulk_actions import Output
    from cli.run_actions import show_list

    client = ops_client(url, api_key)
    show_list(client, _filters(status, assistant, thread, error, since), limit, Output(as_json))


@app.command()
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Show what a run did, turn by turn, and where the Temporal UI shows more: no messages, no arguments."""
    from cli.bulk_actions import Output
    from cli.run_actions import show_timeline

    client = ops_client(url, api_key)
    show_timeline(client, run, Output(as_json))


@app.command()
def retry(
    runs: RunArguments = None,
    failed: Annotated[bool, typer.Option("--failed", help="All failed runs that the filters leave.")] = False,
    assistant: AssistantOption = None,
    thread: ThreadOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    limit: MostOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Have failed runs go on with the step that failed. Exit code 1 if one is refused."""
    from cli.bulk_actions import Output
    from cli.run_actions import found
    from cli.run_actions import retry as retry_each

    check_choice("runs", runs, "--failed", failed, (assistant, thread, error, since, limit))
    filters = _filters(RunStatus.FAILED, assistant, thread, error, since)
    client = ops_client(url, api_key)
    run_ids = runs or found(client, [filters], limit)
    raise typer.Exit(0 if retry_each(client, run_ids, Output(as_json)) else 1)


@app.command()
def cancel(
    runs: RunArguments = None,
    active: Annotated[bool, typer.Option("--active", help="All active runs that the filters leave.")] = False,
    assistant: AssistantOption = None,
    thread: ThreadOption = None,
    since: SinceOption = None,
    limit: MostOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Cancel runs. Exit code 1 if one is refused."""
    from cli.bulk_actions import Output
    from cli.run_actions import cancel as cancel_each
    from cli.run_actions import found

    check_choice("runs", runs, "--active", active, (assistant, thread, since, limit))
    filters = [_filters(status, assistant, thread, None, since) for status in CANCELLABLE]
    client = ops_client(url, api_key)
    run_ids = runs or found(client, filters, limit)
    raise typer.Exit(0 if cancel_each(client, run_ids, Output(as_json)) else 1)


def _filters(
    status: RunStatus | None,
    assistant: str | None,
    thread: str | None,
    error: RunErrorCode | None,
    since: timedelta | None,
) -> dict[str, Any]:
    """The query of `/ops/runs`."""
    return {"status": status, "assistant": assistant, "thread": thread, "error": error, "since": began(since)}
