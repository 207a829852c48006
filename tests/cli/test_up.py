"""`holdfast up` while it runs: output, services, refusals, recovery."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Place, Up, is_alive, run_to_end, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli-up")]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    program = Up(Place.new(tmp_path_factory.mktemp("up")))
    yield program.ready()
    program.end()


def test_ready_message_names_urls_and_models(up: Up) -> None:
    first, *_, last = up.output.splitlines()

    assert f"{up.place.url}/v1" in first
    assert f"http://127.0.0.1:{up.place.temporal_ui_port}" in first
    assert last.startswith("Models: holdfast/scripted")


def test_snippet_in_ready_message_works(up: Up) -> None:
    snippet = "\n".join(up.output.splitlines()[1:4])

    tried = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, check=False)

    assert tried.returncode == 0, tried.stderr
    assert tried.stdout == "You said: Hello!\n"


def test_second_up_on_same_data_folder_is_refused(up: Up, tmp_path: Path) -> None:
    other_ports = Place.new(tmp_path)
    second = Place(up.place.data_dir, other_ports.port, other_ports.temporal_port, other_ports.temporal_ui_port)

    refused = run_to_end(second, "up")

    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"holdfast: The data folder {up.place.data_dir} is held by another `holdfast up`, process {up.process.pid}. "
        "Stop that or set HOLDFAST_DATA_DIR to another folder."
    ]


@pytest.mark.parametrize("port", ["port", "temporal_port", "temporal_ui_port"])
def test_port_in_use_is_refused(up: Up, tmp_path: Path, port: str) -> None:
    setting, taken = f"HOLDFAST_{port.upper()}", getattr(up.place, port)

    refused = run_to_end(Place.new(tmp_path), "up", **{setting: str(taken)})

    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"holdfast: Port {taken} on 127.0.0.1 is in use. Stop the program that uses it or set {setting} to a free port."
    ]


def test_temporal_server_that_dies_is_started_again(up: Up) -> None:
    first = up.temporal()
    assert first is not None

    first.kill()

    wait_until(lambda: not is_alive(first) and up.temporal() is not None and up.is_healthy())
