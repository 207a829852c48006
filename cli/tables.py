"""Tables for people. Texts from the server are printed as plain text, whatever characters they contain."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

# Wide enough for every column if stdout is a pipe, where long lines do no harm.
PIPE_WIDTH = 200
NOTHING = "-"


def drawn(shown: RenderableType) -> str:
    """The text of a table, in the width and colours of stdout."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().rstrip("\n")


def table_of(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        # The last column gets the remaining width.
        table.add_column(name, no_wrap=position < len(columns) - 1, overflow="fold")
    return table


def plain(value: object) -> Text:
    """Text without markup, and without the control characters that a terminal would execute."""
    shown = NOTHING if value is None else str(value)
    return Text("".join(character if character.isprintable() else " " for character in shown))


def time_of(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def facts_of(facts: Mapping[str, object]) -> Table:
    """One line for each fact that is not None."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, value if isinstance(value, Text) else plain(value))
    return table
