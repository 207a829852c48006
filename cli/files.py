"""`holdfast files`: operators list, inspect and retry files of vector stores. Imports are deferred."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from cli.known_values import FileErrorCode, UnfinishedStatus
from cli.ops_options import KeyOption, UrlOption, began, check_choice, duration, ops_client

app = typer.Typer(help="See why files of vector stores failed, and retry them: through the API, from any machine.")

JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON for each file.")]
StoreOption = Annotated[str | None, typer.Option(metavar="STORE", help="Files in this vector store.")]
FileOption = Annotated[str | None, typer.Option(metavar="FILE", help="This file, in any vector store.")]
ErrorOption = Annotated[FileErrorCode | None, typer.Option(help="Files that failed with this error.")]
SinceOption = Annotated[
    timedelta | None,
    typer.Option(
        parser=duration,
        metavar="AGE",
        help="Files that failed (in progress: began) since then: 30m, 1h, 2d.",
    ),
]
NameArguments = Annotated[
    list[str] | None, typer.Argument(metavar="FILE", help="Ids of files, or STORE/FILE for one vector store alone.")
]


@app.command("list")
def list_files(
    status: Annotated[UnfinishedStatus, typer.Option(help="Files with this status.")] = UnfinishedStatus.FAILED,
    store: StoreOption = None,
    file: FileOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """List files of vector stores that are not completed, by default those that failed; the last added first."""
    from cli.bulk_actions import Output
    from cli.file_actions import show_list

    client = ops_client(url, api_key)
    show_list(client, _filters(status, store, file, error, since), limit, Output(as_json))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="STORE/FILE", help="Ids of the vector store and the file.")],
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Show how a file of a vector store stands, why it failed, and where the Temporal UI shows more."""
    from cli.bulk_actions import Output
    from cli.file_actions import show_file

    client = ops_client(url, api_key)
    show_file(client, name, Output(as_json))


@app.command()
def retry(
    names: NameArguments = None,
    failed: Annotated[bool, typer.Option("--failed", help="All failed files that the filters leave.")] = False,
    store: StoreOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the first added first.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Ingest failed files of vector stores anew. Exit code 1 if one is refused."""
    from cli.bulk_actions import Output
    from cli.file_actions import failed_places, found
    from cli.file_actions import retry as retry_each

    check_choice("files", names, "--failed", failed, (store, error, since, limit))
    client = ops_client(url, api_key)
    if names:
        chosen = failed_places(client, names)
    else:
        chosen = found(client, _filters(UnfinishedStatus.FAILED, store, None, error, since), limit)
    raise typer.Exit(0 if retry_each(client, chosen, Output(as_json)) else 1)


def _filters(
    status: UnfinishedStatus, store: str | None, file: str | None, error: FileErrorCode | None, since: timedelta | None
) -> dict[str, Any]:
    """The query of `/ops/files`."""
    return {"status": status, "store": store, "file": file, "error": error, "since": began(since)}
