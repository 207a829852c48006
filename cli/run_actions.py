"""The actions of `holdfast runs`: requests to the API, and their results as text or JSON."""

import getpass
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import Progress

from cli.ops_client import OpsClient, Refused
from cli.output import say
from cli.run_tables import drawn, list_table, timeline_tables
from models.ops_runs import MAX_NAME_LENGTH, OpsRun


@dataclass(frozen=True)
class Output:
    """JSON lines for programs instead of tables for people."""

    as_json: bool


def show_list(client: OpsClient, filters: dict[str, Any], limit: int, output: Output) -> None:
    """Newest first."""
    runs = client.runs(filters, limit, "desc")
    if output.as_json:
        for run in runs:
            say(run.model_dump_json())
    else:
        say(drawn(list_table(runs)))


def show_timeline(client: OpsClient, run_id: str, output: Output) -> None:
    timeline = client.timeline(run_id)
    say(timeline.model_dump_json() if output.as_json else drawn(timeline_tables(timeline)))


def found(client: OpsClient, filters: Sequence[dict[str, Any]], limit: int | None) -> list[str]:
    """The ids of all runs that match one of `filters`, the oldest first."""
    # Keyed by id: a run whose status changes meanwhile can match one filter after the other.
    runs = {run.id: run for each in filters for run in client.runs(each, limit, "asc")}
    return [run.id for run in sorted(runs.values(), key=lambda run: run.created_at)][:limit]


def retry(client: OpsClient, run_ids: Sequence[str], output: Output) -> bool:
    """Returns whether no run was refused."""
    by = f"{getpass.getuser()}@{socket.gethostname()}"[:MAX_NAME_LENGTH]
    return _each("Retried", run_ids, lambda run_id: client.retry(run_id, by), output)


def cancel(client: OpsClient, run_ids: Sequence[str], output: Output) -> bool:
    """Returns whether no run was refused."""
    return _each("Cancelled", run_ids, client.cancel, output)


def _each(done: str, run_ids: Sequence[str], act: Callable[[str], OpsRun], output: Output) -> bool:
    console = Console(stderr=True)
    is_shown = console.is_terminal and not output.as_json and len(run_ids) > 1
    taken = 0
    with Progress(console=console, disable=not is_shown, transient=True) as progress:
        for run_id in progress.track(run_ids, description=done):
            taken += _one(run_id, act, output)
    if not output.as_json:
        say(f"{done} {taken} of {len(run_ids)} runs.")
    return taken == len(run_ids)


def _one(run_id: str, act: Callable[[str], OpsRun], output: Output) -> bool:
    status, reason = None, None
    try:
        status = act(run_id).status
    except Refused as refusal:
        reason = str(refusal)
    if output.as_json:
        say(json.dumps({"id": run_id, "status": status, "refused": reason}, ensure_ascii=False))
    else:
        say(f"{run_id}  {status or f'refused: {reason}'}")
    return reason is None
