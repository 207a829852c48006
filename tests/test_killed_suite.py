"""A stopped or killed suite leaves no server running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import suite_of_every_server
from tests.cli.program import ROOT, command_line, is_alive, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SERVERS = ("WorkflowTimeSkippingEnabled", "bin/postgres", "valkey-server", "cli.main up", "temporal.db")


@pytest.fixture
def suite(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A pytest that runs `suite_of_every_server` in the test's number of pytest-xdist processes."""
    all_up = tmp_path / "all-up"
    options = ("-n", str(request.param), "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "suite"))
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, suite_of_every_server.__file__],
        cwd=ROOT,
        env={**os.environ, suite_of_every_server.ALL_UP: str(all_up)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            while not all_up.exists():
                assert process.poll() is None, "the suite has ended"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("suite", "how"),
    [(1, signal.SIGINT), (1, signal.SIGTERM), (1, signal.SIGKILL), (0, signal.SIGTERM)],
    indirect=["suite"],
    ids=["xdist-Ctrl-C", "xdist-SIGTERM", "xdist-SIGKILL", "one process-SIGTERM"],
)
def test_killed_suite_leaves_no_process(suite: subprocess.Popen[bytes], how: signal.Signals) -> None:
    processes = psutil.Process(suite.pid).children(recursive=True)
    commands = [" ".join(command_line(process)) for process in processes]
    assert all(any(server in command for command in commands) for server in SERVERS), commands

    if how == signal.SIGINT:
        # To every process of the group, as a terminal does.
        os.killpg(suite.pid, how)
    else:
        suite.send_signal(how)
    suite.wait()

    wait_until(lambda: not any(is_alive(process) for process in processes))
