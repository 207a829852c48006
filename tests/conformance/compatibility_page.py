"""The table in docs/compatibility.md: the result of the newest `make conformance`."""

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
BEGIN = "<!-- Written by `make conformance`. -->\n"
END = "<!-- End of the table. -->\n"


def with_table(page: str, table: str) -> str:
    """The page with `table` between the markers. Raises ValueError where it has not exactly one pair of them."""
    before, _, after = _parts(page)
    return f"{before}{BEGIN}\n{table}\n\n{END}{after}"


def table_in(page: str) -> str:
    """The table between the markers. Raises ValueError where the page has not exactly one pair of them."""
    return _parts(page)[1].strip("\n")


def _parts(page: str) -> tuple[str, str, str]:
    if (page.count(BEGIN), page.count(END)) != (1, 1) or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{PAGE.name} needs one line {BEGIN.strip()} and after it one line {END.strip()}")
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    return before, table, after
