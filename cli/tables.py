"""Tables for people. Texts from the server are printed as plain text, whatever characters they contain."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

# Wide enough for every column if stdout is a pipe, where long lines do no harm.
PIPE_WIDTH = 200
NOTHING = "-"
GAP = "  "
# In a last column that is narrower, a sentence has a line for each word.
LEAST_LAST_WIDTH = 24


def drawn(shown: RenderableType) -> str:
    """The text of a table, in the width and colours of stdout."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().rstrip("\n")


class Listing:
    """A table of which no width cuts anything off: cells that it has no room for are below their row, by name."""

    def __init__(self, *columns: str) -> None:
        self._columns = columns
        self._rows: list[tuple[Text, ...]] = []

    def add_row(self, *cells: Text) -> None:
        self._rows.append(cells)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        header = tuple(Text(name, "bold") for name in self._columns)
        widths = [max(map(_width, cells)) for cells in zip(header, *self._rows, strict=True)]
        edges = list(accumulate(widths, lambda edge, width: edge + len(GAP) + width))
        if edges[-2] + len(GAP) + min(widths[-1], LEAST_LAST_WIDTH) <= options.max_width:
            yield self._table()
            return
        # One at least, its id: what cannot be named cannot be acted on.
        beside = max(1, sum(edge <= options.max_width for edge in edges))
        yield _line(header, widths[:beside])
        for row in self._rows:
            yield _line(row, widths[:beside])
            yield Padding(_named(header[beside:], row[beside:]), (0, 0, 0, len(GAP)))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for position, name in enumerate(self._columns):
            # The last column gets the remaining width.
            table.add_column(name, no_wrap=position < len(self._columns) - 1, overflow="fold")
        for row in self._rows:
            table.add_row(*row)
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


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n", allow_blank=True)), default=0)


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    padded = [cell.copy() for cell, _ in zip(cells, widths, strict=False)]
    for cell, width in zip(padded, widths, strict=True):
        cell.pad_right(width - cell.cell_len)
    line = Text(GAP).join(padded)
    line.rstrip()
    return line


def _named(names: Sequence[Text], cells: Sequence[Text]) -> Text:
    present = [(name, cell) for name, cell in zip(names, cells, strict=True) if cell.plain != NOTHING]
    return Text(GAP).join(Text(" ").join(each) for each in present)
