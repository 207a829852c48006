"""The real `holdfast` program as a process, with ports and a data folder of its own. It ends with this process."""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import httpx
import psutil

from cli import tied_to_parent
from cli.main import main

ROOT = Path(__file__).parents[2]
HOLDFAST = (sys.executable, "-m", "cli.main")
# Far more than it takes, for a machine that is busy with other tests.
DEADLINE_SECONDS = 60
SERVER_PORTS = range(10_000, 30_000)
# Byte N of the file is port N.
_RESERVATIONS = os.open(Path(tempfile.gettempdir(), f"holdfast-test-ports-{os.getuid()}"), os.O_RDWR | os.O_CREAT)
_RESERVED: set[int] = set()


@dataclass(frozen=True)
class Place:
    """Where one Holdfast lives. `folder` is its working folder."""

    data_dir: Path
    port: int
    temporal_port: int
    temporal_ui_port: int
    folder: Path = ROOT

    @classmethod
    def new(cls, folder: Path) -> "Place":
        port, temporal_port, temporal_ui_port = free_ports(3)
        return cls(folder / "data", port, temporal_port, temporal_ui_port)

    def environment(self, **more: str) -> dict[str, str]:
        ours = ("HOLDFAST_", "TEMPORAL_")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "HOLDFAST_DATA_DIR": str(self.data_dir),
            "HOLDFAST_PORT": str(self.port),
            "HOLDFAST_TEMPORAL_PORT": str(self.temporal_port),
            "HOLDFAST_TEMPORAL_UI_PORT": str(self.temporal_ui_port),
            # Its packages would be installed; the tests of the sandbox name their own.
            "HOLDFAST_SANDBOX_URL": "none",
            "TEMPORAL_CONFIG_FILE": str(self.data_dir / "no-temporal.toml"),
            **more,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Up:
    """A running `holdfast up`, in a process group of its own as a shell would put it."""

    def __init__(self, place: Place, command: tuple[str, ...] = (*HOLDFAST, "up"), **environment: str) -> None:
        self.place = place
        self._output = place.data_dir.with_name("output.txt")
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                tied(command),
                cwd=place.folder,
                env=place.environment(**environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def ready(self) -> "Up":
        wait_until(lambda: "Holdfast is ready" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        wait_until(self.is_healthy)
        return self

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.place.url}/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def holdfast(self) -> psutil.Process:
        """The supervisor, which is a child where `command` is a parent of it."""
        [supervisor] = self._with("up", "--stop-with-parent")
        return supervisor

    def temporal(self) -> psutil.Process | None:
        """The embedded server's process."""
        return next(iter(self._with(str(self.place.data_dir / "temporal.db"))), None)

    def event_stream(self) -> psutil.Process | None:
        """The embedded Valkey's process."""
        return next(iter(self._with("--unixsocket", str(self.place.data_dir))), None)

    def api(self) -> psutil.Process | None:
        return next(iter(self._with("cli.main", "api")), None)

    def workers(self) -> list[psutil.Process]:
        return self._with("cli.main", "worker")

    def sandboxes(self) -> list[psutil.Process]:
        return self._with("cli.main", "sandbox")

    def all_processes(self) -> list[psutil.Process]:
        started = psutil.Process(self.process.pid)
        return [started, *started.children(recursive=True)]

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def terminate_all(self) -> None:
        """Send SIGTERM to every process, as systemd does when it stops a service."""
        for process in self.all_processes():
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _with(self, *arguments: str) -> list[psutil.Process]:
        # Not those that are about to become another program.
        return [
            process
            for process in self.all_processes()[1:]
            if {*arguments} <= {*command_line(process)} and tied_to_parent.__file__ not in command_line(process)
        ]


def tied(command: Sequence[str]) -> list[str]:
    """`command`, ended by the kernel with the thread that starts it: a suite that is killed leaves nothing behind.

    Its program is named by its path.
    """
    return [sys.executable, "-I", "-S", tied_to_parent.__file__, str(os.getpid()), *command]


def run_to_end(place: Place, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `holdfast` where it is expected to end by itself."""
    return subprocess.run(
        tied([*HOLDFAST, *command]),
        cwd=ROOT,
        env=place.environment(**environment),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def run_here(place: Place, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As `run_to_end`, inside this process: without the time that imports take."""
    ours = place.environment(**environment)
    out, err, code = StringIO(), StringIO(), 0
    with patch.dict(os.environ, ours), redirect_stdout(out), redirect_stderr(err):
        try:
            with patch.object(sys, "argv", ["holdfast", *command]):
                main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
            if isinstance(ended.code, str):
                print(ended.code, file=err)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_line(process: psutil.Process) -> list[str]:
    """Empty for a process that has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Ports that no other call gets, in this process or another, until this process ends.

    They are below those that the kernel gives to clients: one of these could take the port of a server that is down.
    """
    return [_free_port() for _ in range(count)]


def _free_port() -> int:
    while True:
        port = secrets.choice(SERVER_PORTS)
        # Another process holds it, or a program that is no test's listens there.
        with suppress(OSError):
            if port not in _RESERVED:
                # A process keeps its locks of a file until it closes the file; it does not exclude itself.
                fcntl.lockf(_RESERVATIONS, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                _RESERVED.add(port)
                socket.create_server(("127.0.0.1", port)).close()
                return port
