"""The Temporal server an unclean stop left: ended, but never a stranger that has its process id now."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.orphaned_server import end_orphan, record
from tests.cli.program import is_alive, tied

WAIT_FOREVER = "import threading; threading.Event().wait()"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "temporal.db"


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "temporal.pid"


@pytest.fixture
def server(database: Path, pid_file: Path) -> Iterator[psutil.Process]:
    command = tied([sys.executable, "-c", WAIT_FOREVER, "--db-filename", str(database)])
    with subprocess.Popen(command) as process:
        record(pid_file, process.pid)
        yield psutil.Process(process.pid)
        process.kill()


def test_recorded_server_is_ended(server: psutil.Process, pid_file: Path, database: Path) -> None:
    end_orphan(pid_file, database)

    assert not is_alive(server)


def test_process_that_is_not_the_server_is_left_alone(server: psutil.Process, pid_file: Path, tmp_path: Path) -> None:
    end_orphan(pid_file, tmp_path / "another.db")

    assert is_alive(server)


@pytest.mark.parametrize("recorded", ["", "nonsense", "99999999"])
def test_record_of_nothing_is_ignored(pid_file: Path, database: Path, recorded: str) -> None:
    pid_file.write_text(recorded)

    end_orphan(pid_file, database)
