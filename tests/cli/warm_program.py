"""Runs commands of `holdfast` in forks of a process that has imported what they import, which takes each 2 s of CPU.

A fork ends as the program does, with the interpreter. tests/cli/test_program_start.py has the imports themselves.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.main import main
from cli.tied_to_parent import die_with_parent
from tests.cli.program import ROOT, tied


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


class WarmProgram:
    """It ends with this process. For one thread at a time."""

    def __init__(self) -> None:
        command = tied([sys.executable, "-m", __name__])
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ended:
        """Run a command that ends by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with TemporaryDirectory() as folder:
            asked = {"command": [*command], "environment": {**environment}, "folder": folder}
            self._process.stdin.write(f"{json.dumps(asked)}\n")
            returncode = int(self._process.stdout.readline())
            return Ended(returncode, *((Path(folder) / name).read_text() for name in ("stdout", "stderr")))


@cache
def warm_program() -> WarmProgram:
    """The one of this process."""
    return WarmProgram()


def serve() -> None:
    for name in ("api", "migrate", "up", "worker"):
        __import__(f"cli.{name}")
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(**json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(command: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
    die_with_parent()
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        opened = os.open(Path(folder) / name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["holdfast", *command]
    main()


if __name__ == "__main__":
    serve()
