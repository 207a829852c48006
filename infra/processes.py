"""The identity of a process, by which another process of the same machine can prove that it has ended."""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
STATE, STARTED = 0, 19
"""Places of fields 3 and 22 of `/proc/PID/stat` behind the program's name, which is in brackets and may have spaces."""
ENDED_STATES = frozenset("ZX")


@dataclass(frozen=True)
class ProcessIdentity:
    """`machine` names the boot of a kernel and a namespace of process ids; it is empty where the system has neither.

    `started` is in clock ticks since that boot: a process id is used again, not together with this.
    """

    machine: str
    pid: int
    started: int

    @classmethod
    def own(cls) -> "ProcessIdentity":
        pid = os.getpid()
        stat = _stat(pid)
        return cls(_machine(), pid, int(stat[STARTED]) if stat else 0)

    def has_ended(self) -> bool | None:
        """None where it cannot be known, because the process is elsewhere. A stopped process has not ended."""
        if not self.machine or self.machine != _machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        stat = _stat(self.pid)
        if stat is None:
            # It ended just now, or it is hidden from other users.
            return None
        return stat[STATE] in ENDED_STATES or int(stat[STARTED]) != self.started


def _machine() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
