"""Writes the clients' lock files, as a part of `make lock`. Arguments: the `uv` program, then options for it."""

import subprocess
import sys
from pathlib import Path

from tests.conformance.environments import LOCKS, node_program

COMPILE_OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=make lock",
    "--quiet",
)


def main(uv: str, *options: str) -> None:
    for requirements in sorted(LOCKS.glob("*/requirements.in")):
        lock = requirements.with_suffix(".lock")
        subprocess.run(
            [uv, "pip", "compile", str(requirements), *COMPILE_OPTIONS, *options, "--output-file", str(lock)],
            stdout=subprocess.DEVNULL,
            check=True,
        )
    for package in sorted(LOCKS.glob("*/package.json")):
        _lock_node_modules(package.parent)


def _lock_node_modules(folder: Path) -> None:
    # `omit-lockfile-registry-resolved` in the folder's .npmrc keeps the registry's address out of the lock.
    npm = str(node_program("npm"))
    subprocess.run(
        [npm, "install", "--package-lock-only", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
