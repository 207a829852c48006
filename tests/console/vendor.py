"""The console's npm packages: fetched by `make vendor`, unmodified, of the pinned version and hash. Needs npm.

A file's place is `console/vendor/<package>/<its path in the package>`; `console/vendor/packages.json` has the hashes.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cli.program import ROOT

VENDOR = ROOT / "console" / "vendor"
HASHES = VENDOR / "packages.json"


@dataclass(frozen=True)
class Package:
    """`integrity` is the registry's hash of the whole package, `files` those that the console needs."""

    name: str
    version: str
    licence: str
    integrity: str
    files: tuple[str, ...]


PACKAGES = (
    Package(
        "preact",
        "11.2.0",
        "MIT",
        "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
        ("LICENSE", "dist/preact.mjs", "hooks/dist/hooks.mjs"),
    ),
    Package(
        "htm",
        "3.1.1",
        "Apache-2.0",
        "sha512-983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
        ("LICENSE", "dist/htm.mjs", "preact/index.mjs"),
    ),
    Package(
        "eventsource",
        "5.1.5",
        "MIT",
        "sha512-Z41ZPzy7CM1NgAKgrG6pzPdOSimaly20ZY3+6opMQw/VEso+xhPWX4asJT2WAX8zPyFitV3C1+WJMWSLKSlAWg==",
        ("LICENSE", "dist/index.js", "dist/EventSource.js", "dist/errors.js"),
    ),
    Package(
        "eventsource-parser",
        "4.1.3",
        "MIT",
        "sha512-jZVIVilXZfAx6H20ZKKEj5dabbpD9ETmMj3uHsjMmgBzBHB6tsHrmdWB4mAiy3amtN6MOoVkfXRQu4wf1n88Rw==",
        ("LICENSE", "dist/index.js", "dist/parse.js", "dist/errors.js"),
    ),
    Package(
        "marked",
        "18.2.1",
        "MIT",
        "sha512-ii4bxCTCqqwpT86XZWgJNs+ZnAIZksmLGYMViWA7PDIXYIeNo1x6cDdX3JOip9NM/cI6p8z57FxliACboTruMA==",
        ("LICENSE", "lib/marked.esm.js"),
    ),
    Package(
        "dompurify",
        "3.4.18",
        "MPL-2.0 OR Apache-2.0",
        "sha512-ofe3wI/uNm68HInABYFJYqQxRw1EaKAjNdrFVKqjUY+UZurvNd2L/HuQe097s/4RivWiZyP6tT7aoT8atjfhwg==",
        ("LICENSE", "dist/purify.es.mjs"),
    ),
)


class WrongHash(Exception):
    """The registry's package is not the pinned one."""


def main() -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    for package in PACKAGES:
        _vendor(package)
    HASHES.write_text(json.dumps(_described(), indent=2) + "\n")


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _vendor(package: Package) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # A list of arguments, for npm alone: the package's scripts do not run.
        subprocess.run(
            ["npm", "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        [packed] = Path(folder).iterdir()
        found = "sha512-" + base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
        if found != package.integrity:
            raise WrongHash(f"{package.name}@{package.version} has {found}, and not {package.integrity}")
        with tarfile.open(packed) as content:
            for name in package.files:
                _copy(content, f"package/{name}", VENDOR / package.name / name)


def _copy(content: tarfile.TarFile, member: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    source = content.extractfile(member)
    assert source is not None, f"{member} is no file"
    place.write_bytes(source.read())


def _described() -> dict[str, object]:
    return {
        package.name: {
            "version": package.version,
            "licence": package.licence,
            "integrity": package.integrity,
            "sha256": {name: sha256_of(VENDOR / package.name / name) for name in package.files},
        }
        for package in PACKAGES
    }


if __name__ == "__main__":
    main()
