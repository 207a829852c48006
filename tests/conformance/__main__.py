"""`make conformance`: tries every operation with every client, prints a table and the failures, updates the docs."""

import sys
from itertools import groupby

from tests.conformance.clients import CLIENTS
from tests.conformance.compatibility_page import PAGE, with_table
from tests.conformance.outcomes import Outcome, try_all
from tests.conformance.server import serving
from tests.conformance.table import table


def main() -> int:
    with serving([client.name for client in CLIENTS]) as url:
        outcomes = try_all(CLIENTS, url)
    failed = outcomes.failed()
    marks = table(outcomes, CLIENTS)
    PAGE.write_text(with_table(PAGE.read_text(), marks))
    lines = [marks]
    # Sorted by problem: a problem that a client has with many operations is printed once.
    for (client, problem), same in groupby(sorted(failed, key=_client_and_problem), key=_client_and_problem):
        lines += ["", f"{client} {', '.join(outcome.operation for outcome in same)}:", f"  {problem}"]
    sys.stdout.write("\n".join([*lines, ""]))
    return 1 if failed else 0


def _client_and_problem(outcome: Outcome) -> tuple[str, str]:
    return outcome.client, outcome.problem or ""


if __name__ == "__main__":
    sys.exit(main())
