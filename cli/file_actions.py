"""The actions of `holdfast files`: requests to the API, and their results as text or JSON."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from cli.bulk_actions import Output, act_on_each, author
from cli.ops_client import OpsClient, Refused, json_of
from cli.output import say
from cli.tables import Listing, drawn, facts_of, plain, time_of

if TYPE_CHECKING:
    from models.ops_files import OpsFile


def show_list(client: OpsClient, filters: dict[str, Any], limit: int, output: Output) -> None:
    files = client.files(filters, limit, "desc")
    if output.as_json:
        for file in files:
            say(json_of(file))
    else:
        say(drawn(list_table(files)))


def show_file(client: OpsClient, name: str, output: Output) -> None:
    file = client.file(name)
    say(json_of(file) if output.as_json else drawn(_facts(file)))


def found(client: OpsClient, filters: dict[str, Any], limit: int | None) -> list[str]:
    """The names of all files that match, the first added first."""
    return [file.id for file in client.files(filters, limit, "asc")]


def failed_places(client: OpsClient, names: Sequence[str]) -> list[str]:
    """Each file in the store that its name has, or in every store in which it failed."""
    places: dict[str, None] = {}
    for name in names:
        # A file that failed nowhere stays in the list, so that its refusal is reported.
        everywhere = [] if "/" in name else found(client, {"status": "failed", "file": name}, None)
        places.update(dict.fromkeys(everywhere or [name]))
    return list(places)


def retry(client: OpsClient, names: Sequence[str], output: Output) -> bool:
    """Returns whether no file was refused."""
    by = author()

    def retry_file(name: str) -> str:
        if "/" not in name:
            raise Refused("It has failed in no vector store.")
        return client.retry_file(name, by).status

    return act_on_each(("Retried", "files"), names, retry_file, output)


def list_table(files: "Iterable[OpsFile]") -> Listing:
    table = Listing("STORE/FILE", "STATUS", "ADDED", "ENDED", "PROJECT", "CODE", "ERROR")
    for file in files:
        error = file.last_error
        cells = (
            file.id,
            file.status,
            time_of(file.created_at),
            file.ended_at and time_of(file.ended_at),
            file.project,
            error and error.code,
            error and error.message,
        )
        table.add_row(*map(plain, cells))
    return table


def _facts(file: "OpsFile") -> Table:
    return facts_of(
        {
            "File": file.file_id,
            "Vector store": file.vector_store_id,
            "Batch": file.batch_id,
            "Project": file.project,
            "Status": file.status,
            "Added": time_of(file.created_at),
            "Began": time_of(file.started_at),
            "Ended": file.ended_at and time_of(file.ended_at),
            "Chunks": file.chunks or None,
            "Error": file.last_error and f"{file.last_error.code}: {file.last_error.message}",
            "Temporal UI": file.temporal_url,
        }
    )
