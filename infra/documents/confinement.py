"""The limits that a child process gives itself. They cannot be taken back."""

import ctypes
import os
import resource
import signal
import sys

from infra.documents.limits import Limits

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def only_answers() -> int:
    """A descriptor for the answer. What libraries print goes nowhere."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def confine(limits: Limits) -> None:
    """Limit this process for good, before it reads anything."""
    _leave_the_network()
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.written_file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))
    # The soft limit sends a signal, by which the parent knows what happened; the hard one would only kill.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))


def _leave_the_network() -> None:
    """Die with the parent, and have no network where the system allows a process to give it up."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if libc.unshare(CLONE_NEWNET) != 0:
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
