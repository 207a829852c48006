"""The packages that code in a box may import: a folder of their own, read-only there, that no server imports from.

They are installed from requirements-sandbox.lock, with hashes, by `uv`. A folder's name has the hash of all that
decides what is in it, so that a new lock is a new folder; a folder that has its name is complete.
"""

import fcntl
import hashlib
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infra.sandbox.bubblewrap import Interpreter, runs_as_root
from models.code_cells import PackageState

LOCK = Path(__file__).with_name("requirements-sandbox.lock")
FONTS = ".matplotlib"
"""Where matplotlib's list of fonts is, in the folder: it would take each box a second to make one."""

DECORATION = " ×╰─▶├│"  # noqa: RUF001 - as uv draws its errors
BEING_INSTALLED = "the code interpreter's packages are being installed (`holdfast sandbox-packages` does that) into"

PINNED = re.compile(r"^([A-Za-z0-9_.-]+==[^\s\\]+(?: ; [^\\]+)?)", re.MULTILINE)


class PackagesNotInstalled(Exception):
    """`str()` of it is the last line that the installer said."""


@dataclass(frozen=True, slots=True)
class Packages:
    """`added` are requirements beside those of the lock."""

    folder: Path
    interpreter: Interpreter
    added: tuple[str, ...]

    @classmethod
    def of(cls, interpreter: Interpreter, added: str, parent: Path | None = None) -> "Packages":
        """Those of `interpreter` in `parent`, or in the cache of this program's user."""
        requirements = tuple(sorted(added.split()))
        decisive = "\n".join([LOCK.read_text(), *requirements, str(interpreter.program), platform.machine()])
        name = hashlib.sha256(decisive.encode()).hexdigest()[:16]
        return cls((parent.resolve() if parent else _cache()) / f"sandbox-{name}", interpreter, requirements)

    def state(self) -> tuple[PackageState, str]:
        """With a note for the log, which is empty where they are ready."""
        if self.folder.is_dir():
            return PackageState.READY, ""
        try:
            return PackageState.FAILED, self._failure.read_text()
        except OSError:
            return (
                PackageState.PREPARING,
                f"{BEING_INSTALLED} {self.folder}",
            )

    def install(self, tie: Sequence[str] = ()) -> None:
        """Install them unless that is done; where another process is at it, wait for its end.

        `tie` is a command that becomes the installer. Raises `PackagesNotInstalled`.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder.with_suffix(".lock")):
            if self.folder.is_dir():
                return
            self._failure.unlink(missing_ok=True)
            try:
                self._install(tie)
            except PackagesNotInstalled as error:
                self._failure.write_text(str(error))
                raise

    @property
    def _failure(self) -> Path:
        return self.folder.with_suffix(".failed")

    def _install(self, tie: Sequence[str]) -> None:
        partial = self.folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        self._run_installer(tie, partial, "--require-hashes", "--requirements", str(LOCK))
        # Its program runs outside a box, with what the lock's hashes vouch for alone.
        self._list_fonts(partial)
        if self.added:
            pinned = self.folder.with_suffix(".constraints")
            pinned.write_text("\n".join(PINNED.findall(LOCK.read_text())))
            self._run_installer(tie, partial, "--constraints", str(pinned), *self.added)
        partial.rename(self.folder)

    def _run_installer(self, tie: Sequence[str], target: Path, *what: str) -> None:
        command = [*tie, _uv(), "pip", "install", "--target", str(target), "--python", str(self.interpreter.program)]
        # Wheels alone: nothing runs at their installation, and nothing of an added package before it is in a box.
        options = ["--only-binary", ":all:", "--compile-bytecode", "--no-progress", "--quiet"]
        done = subprocess.run([*command, *options, *what], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"uv ended with exit code {done.returncode}"]
            raise PackagesNotInstalled(" ".join(line.strip(DECORATION) for line in lines[-5:]))

    def _list_fonts(self, target: Path) -> None:
        environment = {"MPLCONFIGDIR": str(target / FONTS), "MPLBACKEND": "agg", "HOME": str(target / FONTS)}
        (target / FONTS).mkdir()
        program = f"import sys; sys.path.append({str(target)!r}); import matplotlib.font_manager"
        # Without the list, only the first plot of a box is slower.
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(  # noqa: S603
                [str(self.interpreter.program), "-I", "-S", "-c", program],
                env=environment,
                capture_output=True,
                timeout=120,
                check=True,
            )


def _cache() -> Path:
    # Not by the environment, which a sandbox has not and an installation has.
    with suppress(KeyError):
        if not runs_as_root():
            return Path(pwd.getpwuid(os.geteuid()).pw_dir, ".cache", "holdfast")
    # The user of the boxes cannot enter root's home.
    return Path("/var/cache/holdfast")


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    if program := str(beside) if beside.exists() else shutil.which("uv"):
        return program
    raise PackagesNotInstalled("There is no program uv: install the Python package uv.")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
