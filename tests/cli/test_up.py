"""`holdfast up` while it runs: its message, its refusals, its processes, and how it recovers."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.program import DEADLINE_SECONDS, Place, Up, is_alive, wait_until
from tests.cli.warm_program import warm_program
from tests.sse import parsed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli-up")]


def _first_worker(up: Up) -> psutil.Process | None:
    return next(iter(up.workers()), None)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    # A key of a provider that litellm serves: its workers load it at their start.
    place = Place.new(tmp_path_factory.mktemp("up"))
    program = Up(place, HOLDFAST_WORKERS="2", ANTHROPIC_API_KEY="never used")
    try:
        yield program.ready()
    finally:
        program.end()


def test_ready_message_names_urls_and_models(up: Up) -> None:
    first, *_, last = up.output.splitlines()

    assert f"console on {up.place.url}," in first
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

    refused = warm_program().run(["up"], second.environment())

    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"holdfast: The data folder {up.place.data_dir} is held by another `holdfast up`, process {up.process.pid}. "
        "Stop that or set HOLDFAST_DATA_DIR to another folder."
    ]


@pytest.mark.parametrize("port", ["port", "temporal_port", "temporal_ui_port"])
def test_port_in_use_is_refused(up: Up, tmp_path: Path, port: str) -> None:
    setting, taken = f"HOLDFAST_{port.upper()}", getattr(up.place, port)

    refused = warm_program().run(["up"], Place.new(tmp_path).environment(**{setting: str(taken)}))

    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"holdfast: Port {taken} on 127.0.0.1 is in use. Stop the program that uses it or set {setting} to a free port."
    ]


def test_workers_are_processes_of_their_own_and_only_they_load_litellm(up: Up) -> None:
    api, workers = up.api(), up.workers()

    assert api is not None
    assert len(workers) == 2
    # A library that litellm loads and nothing else does.
    assert [_has_loaded(process, "tiktoken") for process in (api, *workers)] == [False, True, True]


@pytest.mark.parametrize("part", [Up.temporal, Up.event_stream, Up.api, _first_worker])
def test_a_part_that_dies_is_started_again(up: Up, part: Callable[[Up], psutil.Process | None]) -> None:
    first = part(up)
    assert first is not None

    first.kill()

    wait_until(lambda: not is_alive(first) and _is_another(part(up), first) and up.is_healthy())
    assert _streamed_run(up)[-2:] == ["thread.run.completed", "done"]
    assert up.process.poll() is None


def _has_loaded(process: psutil.Process, library: str) -> bool:
    return any(f"/{library}/" in mapped.path for mapped in process.memory_maps())


def _is_another(process: psutil.Process | None, first: psutil.Process) -> bool:
    return process is not None and process != first


def _streamed_run(up: Up) -> list[str]:
    """The names of the events of a run."""
    assistant = httpx.post(f"{up.place.url}/v1/assistants", json={"model": "holdfast/scripted"}).json()
    thread = {"messages": [{"role": "user", "content": "Hello!"}]}
    body = {"assistant_id": assistant["id"], "thread": thread, "stream": True}
    answer = httpx.post(f"{up.place.url}/v1/threads/runs", json=body, timeout=DEADLINE_SECONDS)
    return [event.name for event in parsed(answer.text)]
