"""Tries every operation with the SDK release of this Python. Arguments: the server's URL and an API key."""

import json
import sys
import traceback
from pathlib import Path

from tests.conformance.python_program import (
    assistants,
    attachments,
    errors,
    file_batches,
    files,
    messages,
    models,
    run_steps,
    runs,
    streams,
    threads,
    tool_resources,
    uploads,
    vector_store_files,
    vector_stores,
)
from tests.conformance.python_program.checked_client import CheckedClient
from tests.conformance.python_program.scenarios import SCENARIOS, Scenario, Sdk

NOUNS = (
    assistants,
    threads,
    messages,
    runs,
    run_steps,
    streams,
    files,
    uploads,
    vector_stores,
    vector_store_files,
    file_batches,
    attachments,
    tool_resources,
    models,
    errors,
)


def main(url: str, key: str) -> None:
    # No retries: an operation that succeeds only the second time does not conform.
    try_all(CheckedClient(base_url=url, api_key=key, max_retries=0, timeout=30))


def try_all(client: CheckedClient) -> None:
    sdk = Sdk(client)
    for name, scenario in SCENARIOS.items():
        line = json.dumps({"operation": name, "problem": _problem(sdk, scenario)})
        sys.stdout.write(f"{line}\n")


def _problem(sdk: Sdk, scenario: Scenario) -> str | None:
    found = []
    try:
        scenario(sdk)
    except Exception as error:  # noqa: BLE001 - any error is the operation's outcome
        found.append(f"{_place(error)}: {type(error).__name__}: {error}")
    return "; ".join([*sdk.client.take_violations(), *found]) or None


def _place(error: Exception) -> str:
    """The line of the scenario that failed, not the assertion's or the SDK's own."""
    files = {noun.__file__ for noun in NOUNS}
    *_, frame = (frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files)
    return f"{Path(frame.filename).name}:{frame.lineno}"


if __name__ == "__main__":
    main(*sys.argv[1:])
