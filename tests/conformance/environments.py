"""Where the clients are installed: outside git, each in a folder of its own, from the lock files in `locks`."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

LOCKS = Path(__file__).parent / "locks"
# Resolved: programs name their folder, and a link to it may be removed before it is.
ENVIRONMENTS = (Path(__file__).parents[2] / ".venv").resolve() / "conformance"


class InstallFailed(Exception):
    """The packages in a client's lock files could not be installed."""


def python_environment(name: str) -> Path:
    """The programs of a Python environment with exactly the packages of `locks/<name>/requirements.lock`.

    Made on first use and again when the lock or this Python changed. Raises `InstallFailed`.
    """
    return _installed(name, _install_python) / "bin"


def node_modules(name: str) -> Path:
    """A folder whose `node_modules` has exactly the packages of `locks/<name>/package-lock.json`; else as above."""
    return _installed(name, _install_node_modules)


def node_program(name: str) -> Path:
    """`node` or `npm` of the version that `locks/node` names: those of the machine may be missing or too old."""
    return python_environment("node") / name


def _installed(name: str, install: Callable[[Path, Path], None]) -> Path:
    folder = ENVIRONMENTS / name
    stamp = folder / ".installed"
    wanted = _fingerprint(LOCKS / name)
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    # Several test processes may be the first at once.
    with FileLock(f"{folder}.lock"):
        # The stamp is written last: an install that was interrupted is done again.
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            install(LOCKS / name, folder)
            stamp.write_text(wanted)
    return folder


def _fingerprint(locks: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    for path in sorted(locks.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _install_python(locks: Path, folder: Path) -> None:
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(folder / "bin" / "python")
    lock = str(locks / "requirements.lock")
    _run(uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", lock)


def _install_node_modules(locks: Path, folder: Path) -> None:
    shutil.copytree(locks, folder)
    _run(str(node_program("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)


def _run(*command: str, cwd: Path | None = None) -> None:
    ended = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ended.returncode != 0:
        raise InstallFailed(f"`{' '.join(command)}` ended with {ended.returncode}: {ended.stdout[-2000:].strip()}")
