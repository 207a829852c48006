"""Options that the commands for operators have in common. Imports are deferred."""

import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.ops_client import OpsClient

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Address of the API; also HOLDFAST_URL. Default: that of the data folder, or of .env."),
]
KeyOption = Annotated[str | None, typer.Option("--api-key", help="Key for the API; also HOLDFAST_API_KEY.")]


def duration(text: str) -> timedelta:
    """Raises `typer.BadParameter`."""
    matched = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if matched is None:
        raise typer.BadParameter(f"'{text}' is no duration such as 30s, 15m, 1h, 2d or 1w.")
    return timedelta(**{UNITS[matched[2]]: int(matched[1])})


def began(since: timedelta | None) -> int | None:
    """The time, in seconds since the epoch, at which a duration until now began."""
    return None if since is None else max(int(time.time() - since.total_seconds()), 0)


def ops_client(url: str | None, api_key: str | None) -> "OpsClient":
    from cli.ops_client import OpsClient

    return OpsClient.of(url, api_key)


def check_choice(things: str, named: list[str] | None, flag: str, is_set: bool, filters: tuple[object, ...]) -> None:
    """Either things are named or `flag` is set; filters go with the flag. Raises `typer.BadParameter`."""
    if bool(named) == is_set:
        raise typer.BadParameter(f"Name {things}, or say {flag} for all that the filters leave.")
    if named and any(given is not None for given in filters):
        raise typer.BadParameter(f"Filters go with {flag}, not with the names of {things}.")
