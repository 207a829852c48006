"""The death of a process is proved on its own machine, and never taken from a process that stands still."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from infra.processes import ProcessIdentity
from tests.cli.program import tied, wait_until

TELLS_ITSELF = """
import time
from infra.processes import ProcessIdentity
own = ProcessIdentity.own()
print(own.machine, own.pid, own.started, flush=True)
time.sleep(60)
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(tied([sys.executable, "-c", TELLS_ITSELF]), stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


def test_own_process_has_not_ended() -> None:
    own = ProcessIdentity.own()

    assert (own.pid, bool(own.machine), own.has_ended()) == (os.getpid(), True, False)


def test_killed_process_has_ended_also_before_its_parent_knows(other: subprocess.Popen[str]) -> None:
    identity = _identity(other)
    assert identity.has_ended() is False

    other.kill()
    wait_until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
    as_zombie = identity.has_ended()
    other.wait()

    assert (as_zombie, identity.has_ended()) == (True, True)


def test_stopped_process_has_not_ended(other: subprocess.Popen[str]) -> None:
    identity = _identity(other)

    other.send_signal(signal.SIGSTOP)
    wait_until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_STOPPED)

    assert identity.has_ended() is False


def test_process_id_that_is_used_again_is_another_process() -> None:
    earlier = replace(ProcessIdentity.own(), started=1)

    assert earlier.has_ended() is True


@pytest.mark.parametrize("machine", ["another-boot/pid:[1]", ""])
def test_nothing_is_known_of_a_process_elsewhere(machine: str) -> None:
    elsewhere = replace(ProcessIdentity.own(), machine=machine, pid=2**22)

    assert elsewhere.has_ended() is None


def _identity(process: subprocess.Popen[str]) -> ProcessIdentity:
    assert process.stdout is not None
    machine, pid, started = process.stdout.readline().split()
    return ProcessIdentity(machine, int(pid), int(started))
