"""Runs commands of `holdfast` in forks of a process that has imported what they import: 1 to 2 s of CPU each.

A fork ends as the program does, with the interpreter. tests/cli/test_program_start.py has the imports themselves, and
the parts of every `holdfast up` are programs with a start of their own.
"""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from cli.main import main
from cli.tied_to_parent import die_with_parent
from tests.cli.program import HOLDFAST, ROOT, tied

COMMANDS = ("api", "migrate", "up", "worker")


class Process(Protocol):
    """What tests use of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


class WarmProgram:
    """It ends with the thread that makes it, and its forks with it."""

    def __init__(self) -> None:
        command = tied([sys.executable, "-m", __name__])
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """Run a command that ends by itself."""
        with TemporaryDirectory() as folder:
            out, err = (Path(folder) / name for name in ("stdout", "stderr"))
            returncode = self.exit_code(self.start(command, environment, out, err))
            return Ended(returncode, out.read_text(), err.read_text())

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], out: Path, err: Path, folder: Path = ROOT
    ) -> int:
        """Start a command in `folder`; what it prints is appended to the files. Returns the number of its process."""
        paths = {"folder": str(folder), "out": str(out), "err": str(err)}
        return self._answer(command=[*command], environment={**environment}, **paths)

    def exit_code(self, pid: int) -> int:
        """Wait until this process has ended; no other can be started meanwhile."""
        return self._answer(ended=pid)

    def _answer(self, **asked: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps(asked)}\n")
            return int(self._process.stdout.readline())


class Fork:
    """A running command. It can be waited for in any thread."""

    def __init__(self, program: WarmProgram, pid: int) -> None:
        self.pid = pid
        self._program = program
        # The number stays its own until its exit code has been asked for.
        self._descriptor = os.pidfd_open(pid)
        self._lock = threading.Lock()
        self._returncode: int | None = None

    def poll(self) -> int | None:
        with self._lock:
            if self._returncode is None and self._has_ended(within_seconds=0):
                self._returncode = self._program.exit_code(self.pid)
                os.close(self._descriptor)
            return self._returncode

    def wait(self, timeout: float | None = None) -> int:
        if self._returncode is None and not self._has_ended(timeout):
            raise subprocess.TimeoutExpired("holdfast", timeout or 0)
        returncode = self.poll()
        assert returncode is not None
        return returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, within_seconds: float | None) -> bool:
        # Not select.select: a process of tests may have more descriptors than it takes.
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        return bool(waiting.poll(None if within_seconds is None else within_seconds * 1000))


@cache
def warm_program() -> WarmProgram:
    """The one of this process."""
    return WarmProgram()


def started(
    command: Sequence[str], environment: Mapping[str, str], out: Path, folder: Path = ROOT, err: Path | None = None
) -> Process:
    """A process that ends with the thread that asks for it first: of any program, a fork where that is Holdfast.

    What it prints is appended to `out`, and its errors to `err` if that is another file.
    """
    err = err or out
    with out.open("ab") as output, err.open("ab") as errors:
        if _can_be_forked(command, environment):
            warm = warm_program()
            return Fork(warm, warm.start(command[len(HOLDFAST) :], environment, out, err, folder))
        return subprocess.Popen(tied(command), cwd=folder, env=environment, stdout=output, stderr=errors)


def _can_be_forked(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    is_ours = tuple(command[:-1]) == HOLDFAST and command[-1] in COMMANDS
    # Read by an interpreter that starts.
    is_read = any(name.startswith("PYTHON") and os.environ.get(name) != environment[name] for name in environment)
    return sys.platform == "linux" and is_ours and not is_read


def serve() -> None:
    for name in COMMANDS:
        __import__(f"cli.{name}")
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            _, status = os.waitpid(asked["ended"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            _run(**asked)
            return
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _run(command: Sequence[str], environment: Mapping[str, str], folder: str, out: str, err: str) -> None:
    die_with_parent()
    for descriptor, name in enumerate((os.devnull, out, err)):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["holdfast", *command]
    main()


if __name__ == "__main__":
    serve()
