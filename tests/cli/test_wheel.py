"""The wheel has all that a checkout has to run, and `holdfast up` runs from it in any folder."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from api.routes import console
from infra.database import migrations
from infra.embeddings import minilm
from infra.language_model.chat_completions import providers
from infra.sandbox import packages, run_folder
from tests.cli.program import ROOT, Place, Up, free_ports

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# As an installer calls it, with the build backend that is installed here.
BUILDS_WHEEL = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
OPENED = [
    console.FOLDER / console.PAGE,
    Path(migrations.__file__).with_name("env.py"),
    minilm.TOKENIZER,
    packages.LOCK,
    providers.TABLE,
    run_folder.INSIDE / "kernel.py",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILDS_WHEEL, str(folder)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """A folder with the wheel, and without what it needs: that is in the environment of the tests."""
    target = tmp_path / "installed"
    options = ["--quiet", "--no-deps", "--no-index", "--python", sys.executable, "--target", str(target)]
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", *options, str(wheel)], check=True)
    return target


def test_its_name_is_free_and_its_command_is_holdfast(wheel: Path) -> None:
    [commands] = [text for name, text in _texts(wheel) if name.endswith("entry_points.txt")]

    assert wheel.name.startswith("holdfast_server-")
    assert commands.split() == ["[console_scripts]", "holdfast", "=", "cli.main:main"]


def test_it_has_every_file_of_the_packages(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file()]
    assert names == {file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts}


@pytest.mark.parametrize("path", OPENED, ids=lambda path: path.name)
def test_what_is_opened_beside_code_is_in_a_package(path: Path) -> None:
    assert path.is_file()
    assert path.relative_to(ROOT).parts[0] in PACKAGES


@pytest.mark.slow
def test_up_runs_from_it_with_the_data_in_the_working_folder(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    port, temporal_port, ui_port = free_ports(3)
    place = Place(folder / ".holdfast", port, temporal_port, ui_port, folder)
    program = str(installed / "bin" / "holdfast")
    elsewhere = {"PYTHONPATH": str(installed), "HOLDFAST_DATA_DIR": ".holdfast"}
    up = Up(place, (program, "up"), **elsewhere)
    try:
        up.ready()
        page = httpx.get(place.url)
        process = up.api()
        assert process is not None
        path = process.environ()["PYTHONPATH"]
        environment = place.environment(**elsewhere)
        # It is found by the data folder.
        del environment["HOLDFAST_PORT"]
        listing = [program, "runs", "list", "--json"]
        listed = subprocess.run(listing, cwd=folder, env=environment, capture_output=True, check=False)
    finally:
        up.end()

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert path.startswith(str(installed))
    assert (place.data_dir / "holdfast.db").exists()
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, b"", b"")


def _texts(wheel: Path) -> Iterator[tuple[str, str]]:
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".txt"):
                yield name, archive.read(name).decode()
