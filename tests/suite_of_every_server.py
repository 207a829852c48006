"""A suite that starts every kind of server and then waits, to be killed by `test_killed_suite.py`."""

import os
import threading
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from tests.cli.program import Place, Up, wait_until
from tests.postgres.server import PostgresServer
from tests.valkey import ValkeyServer

ALL_UP = "SUITE_ALL_UP"
"""The environment variable that names the file to be made once all are up."""


def test_waits(
    # Temporal's test servers, with time or without, are started in one way.
    time_skipping: WorkflowEnvironment,
    valkey: ValkeyServer,
    postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    up = Up(Place.new(tmp_path))
    # The program's own child starts last.
    wait_until(lambda: up.temporal() is not None)
    Path(os.environ[ALL_UP]).touch()
    threading.Event().wait()
