"""The folder of a sandbox process: what its boxes need, and the folders of its sessions. It ends with the process."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import StartFailed
from infra.removed_at_end import removed_at_end
from infra.sandbox.bubblewrap import SYSTEM_PROGRAM, runs_as_root
from infra.sandbox.removed_folder import remove_folder

INSIDE = Path(__file__).with_name("inside")


class SandboxFolderUnusable(StartFailed):
    """No folder for the files of sessions can be made."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`program` is bubblewrap where the user of the boxes can reach it, `images` a folder that they cannot enter."""

    path: Path
    sessions: Path
    images: Path
    incoming: Path
    inside: Path
    program: Path


@contextmanager
def run_folder(parent: Path | None, program: Path) -> Iterator[RunFolder]:
    """In the folder `parent`, or the system's for temporary files; `program` is bubblewrap."""
    try:
        if parent:
            parent.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix="holdfast-sandbox-", dir=parent)).resolve()
    except OSError as error:
        raise SandboxFolderUnusable(
            f"The folder {parent or tempfile.gettempdir()} cannot be used: {error.strerror}. Set HOLDFAST_SANDBOX_DIR."
        ) from error
    with removed_at_end(path):
        # systemd-tmpfiles leaves a locked folder alone, however old.
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield _furnished(path, program)
        finally:
            os.close(lock)
            remove_folder(path)


def _furnished(path: Path, program: Path) -> RunFolder:
    # Another user, where the server is root, has to pass through it to a box's folder, and may not list it.
    path.chmod(0o711 if runs_as_root() else 0o700)
    sessions, images, incoming = path / "sessions", path / "images", path / "incoming"
    for folder in (sessions, images, incoming):
        folder.mkdir(mode=0o700)
    sessions.chmod(path.stat().st_mode & 0o777)
    inside = path / "inside"
    inside.mkdir()
    for name in ("kernel.py", "sandbox_backend.py"):
        shutil.copyfile(INSIDE / name, inside / name)
        (inside / name).chmod(0o444)
    inside.chmod(0o555)
    return RunFolder(path, sessions, images, incoming, inside, _reachable(program, path))


def _reachable(program: Path, path: Path) -> Path:
    if program == SYSTEM_PROGRAM:
        return program
    # The package's program finds its library beside it.
    package = program.parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, path / folder.name)
    for each in (path / package.name, *(path / package.name).rglob("*")):
        each.chmod(0o755)
    return path / package.name / program.parent.name / program.name
