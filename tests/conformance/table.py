"""Outcomes as a Markdown table, operation by client, aligned for terminals."""

from collections.abc import Sequence

from tests.conformance.clients import Client
from tests.conformance.operations import OPERATIONS
from tests.conformance.outcomes import Outcome, Outcomes

TOO_OLD, CONFORMS, FAILS = "—", "✓", "✗"


def table(outcomes: Outcomes, clients: Sequence[Client]) -> str:
    header = ["", *(client.name.removeprefix("openai-").replace("-", " ") for client in clients)]
    rows = [
        [f"`{operation}`", *(_mark(outcomes.of(client, operation)) for client in clients)] for operation in OPERATIONS
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruler = ["-" * widths[0], *(f":{'-' * (width - 2)}:" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (header, ruler, *rows))


def _mark(outcome: Outcome | None) -> str:
    if outcome is None:
        return TOO_OLD
    return CONFORMS if outcome.problem is None else FAILS


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = (cell.center(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return f"| {' | '.join([first, *others])} |"
