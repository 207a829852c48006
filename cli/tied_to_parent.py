"""A script that becomes another program, which dies with the process that started it. Imports nothing of Holdfast.

A script and not a `preexec_fn`: that would run Python in a fork of a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, program: str, arguments: list[str]) -> None:
    """Exchange this process for `program`. Where the system knows no death signal, it outlives a killed parent."""
    if sys.platform == "linux":
        die_with_parent()
    # The parent may have died before the signal was asked for.
    if os.getppid() != parent:
        sys.exit("The process that asked for this one is gone.")
    os.execv(program, [program, *arguments])  # noqa: S606


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
