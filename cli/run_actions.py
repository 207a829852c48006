"""The actions of `holdfast runs`: requests to the API, and their results as text or JSON."""

from collections.abc import Sequence
from typing import Any

from cli.bulk_actions import Output, act_on_each, author
from cli.ops_client import OpsClient, json_of
from cli.output import say
from cli.run_tables import list_table, timeline_tables
from cli.tables import drawn


def show_list(client: OpsClient, filters: dict[str, Any], limit: int, output: Output) -> None:
    """Newest first."""
    runs = client.runs(filters, limit, "desc")
    if output.as_json:
        for run in runs:
            say(json_of(run))
    else:
        say(drawn(list_table(runs)))


def show_timeline(client: OpsClient, run_id: str, output: Output) -> None:
    timeline = client.timeline(run_id)
    say(json_of(timeline) if output.as_json else drawn(timeline_tables(timeline)))


def found(client: OpsClient, filters: Sequence[dict[str, Any]], limit: int | None) -> list[str]:
    """The ids of all runs that match one of `filters`, the oldest first."""
    # Keyed by id: a run whose status changes meanwhile can match one filter after the other.
    runs = {run.id: run for each in filters for run in client.runs(each, limit, "asc")}
    return [run.id for run in sorted(runs.values(), key=lambda run: run.created_at)][:limit]


def retry(client: OpsClient, run_ids: Sequence[str], output: Output) -> bool:
    """Returns whether no run was refused."""
    by = author()
    return act_on_each(("Retried", "runs"), run_ids, lambda run_id: client.retry(run_id, by).status, output)


def cancel(client: OpsClient, run_ids: Sequence[str], output: Output) -> bool:
    """Returns whether no run was refused."""
    return act_on_each(("Cancelled", "runs"), run_ids, lambda run_id: client.cancel(run_id).status, output)
