"""The browser of the console's tests: the machine's Chromium, or Debian's, unpacked without root into a cache.

Without windows, if there is a choice: the same pages take a sixth less CPU.

`python -m tests.console.chromium` fetches it before tests ask for it. The cache is outside the checkout.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

WITHOUT_WINDOWS = "chromium-headless-shell"
NAMES = (WITHOUT_WINDOWS, "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NEXT_STEP = "Install Chromium, so that a program `chromium` is in the PATH, and try again."
# What Chromium's own packages do not need, and pages without it are blank.
PACKAGES = (WITHOUT_WINDOWS, "fonts-dejavu-core")


class NoChromium(Exception):
    """The machine has no Chromium, and it could not be fetched."""


@dataclass(frozen=True)
class Chromium:
    """A program, and what it needs in its environment."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)


def chromium() -> Chromium:
    """The machine's, or the one in the cache, which is fetched on first use. Raises `NoChromium`."""
    for name in NAMES:
        if program := shutil.which(name):
            return Chromium(program)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        return _cached(cache / WITHOUT_WINDOWS)
    except NoChromium:
        # Earlier versions of these tests fetched this one.
        if not (cache / "chromium").exists():
            raise
        return _cached(cache / "chromium")


def _cached(folder: Path) -> Chromium:
    # Several test processes may be the first at once.
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            _fetch(folder)
    return Chromium(str(folder / "usr/lib/chromium" / folder.name), _environment(folder))


def _environment(folder: Path) -> dict[str, str]:
    libraries = [*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("usr/lib/*-linux-gnu/pulseaudio")]
    places = {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "XDG_DATA_HOME": str(folder / "usr/share")}
    fonts = folder / "etc/fonts"
    return places | ({"FONTCONFIG_PATH": str(fonts)} if fonts.exists() else {})


def _fetch(folder: Path) -> None:
    if not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
        raise NoChromium(f"This machine has no Chromium and no apt-get to fetch it with. {NEXT_STEP}")
    sys.stderr.write(f"Fetching Debian's Chromium into {folder}\n")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unpacked = Path(temporary) / "unpacked"
        # Only what the machine lacks: apt knows the packages that are installed.
        for package in _downloaded(Path(temporary)):
            _run("dpkg-deb", "-x", str(package), str(unpacked))
        # Atomically.
        unpacked.rename(folder)


def _downloaded(temporary: Path) -> list[Path]:
    """The packages and those that they need. In folders of its own, apt needs no root."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (temporary / part).mkdir(parents=True)
    options = {
        "Dir::State": str(temporary / "state"),
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": str(temporary / "cache"),
        "Debug::NoLocking": "1",
        # As root, apt would download as another user, to whom the folder is closed.
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "--quiet", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]
    _run(*apt, "update")
    _run(*apt, "install", "--download-only", "--yes", "--no-install-recommends", *PACKAGES)
    return sorted((temporary / "cache/archives").glob("*.deb"))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout)[-1500:].strip()
        raise NoChromium(f"`{command[0]} … {command[-1]}` ended with {done.returncode}: {said}\n{NEXT_STEP}")


if __name__ == "__main__":
    try:
        chromium()
    except NoChromium as reason:
        sys.exit(str(reason))
