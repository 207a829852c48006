"""The committed table of operations and SDK releases has the rows, columns and marks that a good run would write."""

import pytest

from tests.conformance.clients import CLIENTS
from tests.conformance.compatibility_page import BEGIN, END, PAGE, table_in, with_table
from tests.conformance.operations import OPERATIONS
from tests.conformance.outcomes import Outcome, Outcomes, operations_of
from tests.conformance.table import CONFORMS, FAILS, TOO_OLD, table

ALL_CONFORM = Outcomes(
    Outcome(client.name, operation, problem=None) for client in CLIENTS for operation in operations_of(client)
)


def test_committed_table_is_of_these_operations_and_clients() -> None:
    assert table_in(PAGE.read_text()) == table(ALL_CONFORM, CLIENTS), "run `make conformance` and commit the page"


def test_row_shows_what_conforms_fails_or_is_too_new_for_a_client() -> None:
    oldest, newer = CLIENTS[0], CLIENTS[1]
    operation = sorted(oldest.too_old_for)[0]
    outcomes = Outcomes(
        [Outcome(newer.name, operation, problem=None), Outcome(newer.name, OPERATIONS[0], problem="It answers 500.")]
    )

    rows = {line.split("`")[1]: line for line in table(outcomes, [oldest, newer]).splitlines() if "`" in line}

    assert list(rows) == list(OPERATIONS)
    assert _marks(rows[operation]) == [TOO_OLD, CONFORMS]
    assert _marks(rows[OPERATIONS[0]]) == [TOO_OLD, FAILS]


def test_table_replaces_the_one_between_the_markers() -> None:
    page = with_table(f"before\n{BEGIN}old\n{END}after\n", "new")

    assert table_in(page) == "new"
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}" * 2])
def test_page_without_one_pair_of_markers_is_rejected(page: str) -> None:
    with pytest.raises(ValueError, match=r"compatibility\.md needs one line"):
        with_table(page, "new")


def _marks(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")[1:]]
