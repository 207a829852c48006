"""A script that becomes another program, which dies with the process that started it. Imports nothing of Holdfast.

A script and not a `preexec_fn`: that would run Python in a fork of a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
OUTLIVES_SIGTERM = "--outlives-sigterm"


def tie(*flags: str) -> tuple[str, ...]:
    """What to put before a command that is to die with this process.

    With `OUTLIVES_SIGTERM`, SIGTERM stays blocked in it: systemd sends it to every process of a service at once. Not in
    a program in Go, which unblocks it.
    """
    return (sys.executable, "-I", "-S", __file__, *flags, str(os.getpid()))


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


def main(arguments: list[str]) -> None:
    if arguments[0] == OUTLIVES_SIGTERM:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        arguments = arguments[1:]
    become(int(arguments[0]), arguments[1], arguments[2:])


if __name__ == "__main__":
    main(sys.argv[1:])
