"""No two test processes get the same port: a server may start long after its port was chosen."""

import subprocess
import sys

import pytest

from tests.cli import program
from tests.cli.program import ROOT, free_ports, tied

FEW = range(29_960, 29_980)
TAKE_HALF = f"""
from tests.cli import program
program.SERVER_PORTS = {FEW!r}
print(*program.free_ports(10), flush=True)
input()
"""


@pytest.mark.slow
def test_ports_of_another_process_are_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "SERVER_PORTS", FEW)
    command = tied([sys.executable, "-c", TAKE_HALF])
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = set(map(int, other.stdout.readline().split()))
        # Nobody listens on theirs.
        ours = set(free_ports(5))
        other.communicate("\n")

    assert len(theirs) == 10
    assert len(ours) == 5
    assert not ours & theirs
