"""Processes are named by their command, whatever started them, and their children are counted with them."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.bench.processes import ProcessTrees, process_name, spent
from tests.cli.program import wait_until

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "sum(range(20_000_000)); input()"])
child.wait()
"""


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/venv/bin/temporal server start-dev", "temporal"),
        ("valkey-server 127.0.0.1:6379", "valkey"),
        ("postgres: postgres holdfast [local] idle", "postgres"),
        ("/usr/bin/python3.11 -m cli.main worker", "worker"),
        ("python -m cli.main --some-option up", "up"),
        ("python -m tests.bench.model_server 9000", "model_server"),
        ("python -c pass", "python"),
        ("sleep 1", "sleep"),
    ],
)
def test_process_is_named_by_its_command(command: str, name: str) -> None:
    assert process_name(command.split()) == name


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE)
    yield process
    for child in psutil.Process(process.pid).children():
        child.kill()
    process.kill()
    process.wait()


def test_cpu_of_children_counts(parent: subprocess.Popen[bytes]) -> None:
    tree = ProcessTrees([parent.pid])
    before = tree.cpu_seconds()

    wait_until(lambda: sum(spent(before, tree.cpu_seconds()).values()) > 0.1)

    assert sum(psutil.Process(parent.pid).cpu_times()[:2]) < sum(tree.cpu_seconds().values())


def test_memory_includes_children(parent: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: bool(psutil.Process(parent.pid).children()))

    alone = psutil.Process(parent.pid).memory_full_info().pss / 1024 / 1024

    assert sum(ProcessTrees([parent.pid]).mebibytes().values()) > alone > 0
