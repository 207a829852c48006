"""Runs the clients' programs against one server and gathers the outcome of every operation."""

import json
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tests.cli.program import tied
from tests.conformance.clients import Client
from tests.conformance.environments import InstallFailed
from tests.conformance.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
# With the server they fill two cores; more at once only make each other slow.
CLIENTS_AT_ONCE = 2
PROGRAM_TIMEOUT_SECONDS = 180


@dataclass(frozen=True)
class Outcome:
    """`problem` is None where the operation conforms."""

    client: str
    operation: str
    problem: str | None


class Outcomes:
    """One outcome for each client and each operation that its release has."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._by_place = {(outcome.client, outcome.operation): outcome for outcome in outcomes}

    def of(self, client: Client, operation: str) -> Outcome | None:
        return self._by_place.get((client.name, operation))

    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self._by_place.values() if outcome.problem is not None]


class ProgramFailed(Exception):
    """A client's program ended without a result for every operation."""


def operations_of(client: Client) -> list[str]:
    return [operation for operation in _tried_by(client) if operation not in client.too_old_for]


def _tried_by(client: Client) -> list[str]:
    return [operation for operation in OPERATIONS if operation not in client.not_tried]


def try_all(clients: Sequence[Client], url: str) -> Outcomes:
    """Try every operation with every client. `url` is the API's; each client's name is its key."""
    with ThreadPoolExecutor(CLIENTS_AT_ONCE) as pool:
        return Outcomes(chain.from_iterable(pool.map(lambda client: _outcomes_of(client, url), clients)))


def _outcomes_of(client: Client, url: str) -> list[Outcome]:
    try:
        problems = _run_program(client, url)
    except (InstallFailed, ProgramFailed) as failure:
        # A client that cannot be tried has failed everything: it must not go unnoticed.
        problems = dict.fromkeys(OPERATIONS, str(failure))
    return [Outcome(client.name, operation, problems[operation]) for operation in operations_of(client)]


def _run_program(client: Client, url: str) -> dict[str, str | None]:
    command = tied([*client.command(), url, client.name])
    try:
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as expired:
        raise ProgramFailed(f"The program still ran after {PROGRAM_TIMEOUT_SECONDS} s") from expired
    if ended.returncode != 0:
        raise ProgramFailed(f"The program ended with {ended.returncode}: {ended.stderr[-2000:].strip()}")
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    problems = {line["operation"]: line["problem"] for line in results}
    if different := sorted(problems.keys() ^ set(_tried_by(client))):
        raise ProgramFailed(f"The program and operations.py disagree on {', '.join(different)}")
    return problems
