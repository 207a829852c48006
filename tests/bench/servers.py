"""The servers of `make bench`: Holdfast in one command and in two, the floor beside them, and the model of all."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from tests.bench.loads import Load, Observed
from tests.bench.processes import ProcessTrees
from tests.cli.program import HOLDFAST, ROOT, Place, Up, free_ports, wait_until
from tests.postgres.server import running_postgres
from tests.valkey import running_valkey

APART_TASK_QUEUE = "apart"


@dataclass(frozen=True)
class Target:
    """A measured server: `observe` puts a load on it, `processes` are its processes."""

    name: str
    observe: Callable[[Load], Observed]
    processes: ProcessTrees


@dataclass(frozen=True)
class Targets:
    model: Target
    floor: Target
    holdfast: list[Target]


@contextmanager
def running_targets(folder: Path, on_postgres: bool) -> Iterator[Targets]:
    """All targets, started and idle, to be measured in turns. They share one Temporal server, that of `up`."""
    with _model() as (model_url, model), running_postgres() if on_postgres else nullcontext() as postgres:
        models = str(_models_file(folder, model_url))
        # An empty URL stands for SQLite.
        databases = [postgres.new_database() if postgres else "" for _ in range(2)]
        up = Up(Place.new(folder), HOLDFAST_MODELS=models, HOLDFAST_DATABASE_URL=databases[0]).ready()
        temporal = up.temporal()
        assert temporal is not None
        database = _children("postgres")
        try:
            with (
                _apart(folder / "apart", up, models, databases[1]) as (apart_url, apart),
                _floor(up, model_url) as floor,
            ):
                yield Targets(
                    Target("model", _driver(model_url), ProcessTrees([model.pid])),
                    Target("floor", _asked(floor), ProcessTrees([floor.pid, temporal.pid])),
                    [
                        Target(
                            "holdfast up",
                            _driver(f"{up.place.url}/v1"),
                            ProcessTrees([up.process.pid, *database]),
                        ),
                        Target(
                            "api + worker",
                            _driver(f"{apart_url}/v1"),
                            ProcessTrees([*apart, temporal.pid, *database]),
                        ),
                    ],
                )
        finally:
            up.interrupt()
            up.process.wait()


@contextmanager
def _apart(folder: Path, up: Up, models: str, database: str) -> Iterator[tuple[str, list[int]]]:
    """`holdfast api` and `holdfast worker`; their URL, and the processes with the Valkey between them."""
    folder.mkdir()
    place = Place(folder / "data", free_ports(1)[0], up.place.temporal_port, up.place.temporal_ui_port)
    with running_valkey() as valkey:
        settings = place.environment(
            HOLDFAST_MODELS=models,
            HOLDFAST_DATABASE_URL=database,
            HOLDFAST_EVENT_STREAM_URL=valkey.url,
            HOLDFAST_TASK_QUEUE=APART_TASK_QUEUE,
        )
        subprocess.run([*HOLDFAST, "migrate"], cwd=ROOT, env=settings, check=True)
        logs = {name: folder / f"{name}.txt" for name in ("api", "worker")}
        processes = []
        for name, log in logs.items():
            with log.open("w") as output:
                processes.append(
                    subprocess.Popen([*HOLDFAST, name], cwd=ROOT, env=settings, stdout=output, stderr=output)
                )
        try:
            wait_until(lambda: all("is ready" in log.read_text() for log in logs.values()))
            yield place.url, [*(process.pid for process in processes), *_children("valkey-server")]
        finally:
            for process in processes:
                process.terminate()
                process.wait()


@contextmanager
def _floor(up: Up, model_url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.bench.floor", f"127.0.0.1:{up.place.temporal_port}", model_url]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _model() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    [port] = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.model_server", str(port)], cwd=ROOT)
    try:
        wait_until(lambda: _accepts(port))
        yield f"http://127.0.0.1:{port}/v1", process
    finally:
        process.kill()
        process.wait()


def _children(name: str) -> list[int]:
    """The processes of this name among the descendants of this process."""
    found = [child for child in psutil.Process().children(recursive=True) if child.name() == name]
    return [child.pid for child in found if child.parent() not in found]


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except ConnectionRefusedError:
        return False


def _driver(url: str) -> Callable[[Load], Observed]:
    def observe(load: Load) -> Observed:
        command = [sys.executable, "-m", "tests.bench.driver", url, load.to_json()]
        driver = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        return Observed.from_json(driver.stdout)

    return observe


def _asked(floor: subprocess.Popen[str]) -> Callable[[Load], Observed]:
    def observe(load: Load) -> Observed:
        assert floor.stdin is not None
        assert floor.stdout is not None
        print(load.to_json(), file=floor.stdin, flush=True)
        return Observed.from_json(floor.stdout.readline())

    return observe


def _models_file(folder: Path, model_url: str) -> Path:
    params = {"model": "openai/*", "api_base": model_url, "api_key": "none"}
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": "*", "litellm_params": params}]}))
    return path
