"""The table of faults and findings."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass
class Report:
    """`runs` counts (kind, outcome); `calls` the model's calls; `violations` must be empty.

    `searches` counts those that the server made. `taken_up` has the seconds from the kill of a worker to the next call
    of each model that was answering it.
    """

    setup: str
    runs: Counter[tuple[str, str]]
    points: Counter[str]
    faults: Counter[str]
    calls: Counter[str]
    clients: Counter[str]
    taken_up: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    searches: Counter[str] = field(default_factory=Counter)

    def show(self, console: Console) -> None:
        table = Table(title=f"Set-up {self.setup}", title_justify="left")
        for heading in ("", "", "count"):
            table.add_column(heading, justify="right" if heading else "left")
        for (kind, outcome), count in sorted(self.runs.items()):
            table.add_row(f"runs: {kind}", outcome, str(count))
        for what, counts in (
            ("killed at a point", self.points),
            ("fault", self.faults),
            ("model calls", self.calls),
            ("searches", self.searches),
            ("clients saw", self.clients),
        ):
            table.add_section()
            for name, count in sorted(counts.items()):
                table.add_row(what, name, str(count))
        table.add_section()
        for name, seconds in _distribution(self.taken_up):
            table.add_row("SIGKILL of a worker to next model call", name, seconds)
        table.add_section()
        table.add_row("violations", "", str(len(self.violations)))
        console.print(table)
        for violation in self.violations:
            console.print(violation, markup=False, highlight=False)


def _distribution(seconds: list[float]) -> list[tuple[str, str]]:
    if not seconds:
        return []
    return [
        ("answers", str(len(seconds))),
        ("p50", f"{median(seconds):.1f} s"),
        ("max", f"{max(seconds):.1f} s"),
    ]
