"""Tries Azure's agents with `azure-ai-agents`. Arguments: the server's URL, and a key, which is a project's name."""

import json
import sys
import traceback
from pathlib import Path

from tests.conformance.azure_agents_program import agents, errors, runs, streams, threads
from tests.conformance.azure_agents_program.client import SCENARIOS, Agents
from tests.conformance.scenario import Scenario

NOUNS = (agents, threads, runs, streams, errors)


def main(url: str, key: str) -> None:
    for name, scenario in SCENARIOS.by_operation.items():
        line = json.dumps({"operation": name, "problem": _problem(scenario, Agents(url, key))})
        sys.stdout.write(f"{line}\n")


def _problem(scenario: Scenario, client: Agents) -> str | None:
    try:
        scenario(client)
    except Exception as error:  # noqa: BLE001 - any error is the operation's outcome
        files = {noun.__file__ for noun in NOUNS}
        *_, frame = (each for each in traceback.extract_tb(error.__traceback__) if each.filename in files)
        return f"{Path(frame.filename).name}:{frame.lineno}: {type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
