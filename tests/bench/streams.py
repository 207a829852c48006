"""Streams: the delay of a delta from the model to the client, and its completeness, at a growing number of streams.

Every chunk of the model contains its send time, so that the delay is Holdfast's and the network's share. The rows "the
model itself" are the same client at the model's own stream: the cost of measuring.
"""

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import yaml

from tests.bench.load import cpu_seconds
from tests.bench.stamping_provider import model_name
from tests.bench.stream_client import Received, read_stream
from tests.cli.apart import running_apart
from tests.cli.program import ROOT, Place, Up, free_ports, tied, wait_until

NS_PER_MS = 1_000_000
MAX_STREAMS = "600"
THREAD = {"messages": [{"role": "user", "content": "Hello there"}]}
HEADER = f"""\
From the model to the client, in ms: the first delta of each stream, and all. Model, client and servers share
{psutil.cpu_count()} cores, and the streams of a row begin at once: the start of 500 runs fills them for seconds.

{"":<52} {"first p50":>9} {"p95":>9} {"all p50":>9} {"p95":>9} {"deltas/s":>9}   CPU ms for a delta, runs included"""


@dataclass(frozen=True)
class Level:
    """A number of concurrent streams, each of a number of chunks at an interval, and a number of rounds."""

    streams: int
    chunks: int
    interval_ms: int
    rounds: int = 1

    @property
    def model(self) -> str:
        return model_name(self.chunks, self.interval_ms)

    def __str__(self) -> str:
        return f"{self.streams} at once, a chunk every {self.interval_ms} ms"


# A chunk every 2 ms in all, except where there is but one stream.
LEVELS = (Level(1, 10, 20, rounds=30), Level(50, 50, 100), Level(500, 20, 1000))
WARM_UP = Level(5, 5, 20)


def measure_streams() -> None:
    """Print rows for the model itself, `holdfast up`, and `holdfast api` and `holdfast worker` over Valkey."""
    print(HEADER)
    with tempfile.TemporaryDirectory() as name, _provider() as provider_url:
        folder = Path(name)
        models = _models_file(folder, provider_url)
        for level in LEVELS:
            print(asyncio.run(_measure_model(provider_url, level)))
        place = Place.new(folder)
        up = Up(place, HOLDFAST_MODELS=str(models), HOLDFAST_MAX_CONCURRENT_ACTIVITIES=MAX_STREAMS).ready()
        try:
            _measure("holdfast up", place.url, _servers(up, holdfast=up.process))
            with running_apart(
                folder / "apart",
                up,
                HOLDFAST_MODELS=str(models),
                HOLDFAST_MAX_CONCURRENT_ACTIVITIES=MAX_STREAMS,
            ) as (url, processes):
                _measure("api + worker", url, _servers(up, **processes))
        finally:
            up.interrupt()
            up.process.wait()


def _measure(name: str, url: str, servers: dict[str, psutil.Process]) -> None:
    # One-time work, like the model's first connection, belongs to no row.
    asyncio.run(_measure_holdfast(name, url, WARM_UP, servers))
    for level in LEVELS:
        print(asyncio.run(_measure_holdfast(name, url, level, servers)))


async def _measure_model(url: str, level: Level) -> str:
    body = {"model": level.model, "stream": True, "messages": []}
    return await _measured(f"the model itself, {level}", f"{url}/chat/completions", body, level, {})


async def _measure_holdfast(name: str, url: str, level: Level, servers: dict[str, psutil.Process]) -> str:
    async with httpx.AsyncClient(base_url=f"{url}/v1") as http:
        assistant = (await http.post("/assistants", json={"model": level.model})).json()
    body = {"assistant_id": assistant["id"], "thread": THREAD, "stream": True}
    return await _measured(f"{name}, {level}", f"{url}/v1/threads/runs", body, level, servers)


async def _measured(
    name: str, url: str, body: dict[str, object], level: Level, servers: dict[str, psutil.Process]
) -> str:
    cpu_before = {server: cpu_seconds(process) for server, process in servers.items()}
    began = time.perf_counter()
    streams: list[Received] = []
    for _ in range(level.rounds):
        streams += await asyncio.gather(*(read_stream(url, body, level.chunks) for _ in range(level.streams)))
    deltas = len(streams) * level.chunks
    per_second = deltas / (time.perf_counter() - began)
    cpu = ", ".join(
        f"{server} {(cpu_seconds(process) - cpu_before[server]) / deltas * 1000:.2f}"
        for server, process in servers.items()
    )
    return _row(name, streams, per_second, cpu)


def _row(name: str, streams: list[Received], per_second: float, cpu: str) -> str:
    first = [stream.delays[0] for stream in streams]
    every = [delay for stream in streams for delay in stream.delays]
    delays = "".join(f" {_percentile_ms(each, percent):>9.1f}" for each in (first, every) for percent in (50, 95))
    return f"{name:<52}{delays} {per_second:>9.0f}   {cpu}"


def _percentile_ms(delays: list[int], percent: int) -> float:
    ordered = sorted(delays)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] / NS_PER_MS


@contextmanager
def _provider() -> Iterator[str]:
    [port] = free_ports(1)
    process = subprocess.Popen(tied([sys.executable, "-m", "tests.bench.stamping_provider", str(port)]), cwd=ROOT)
    try:
        wait_until(lambda: _accepts(port))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except ConnectionRefusedError:
        return False


def _servers(up: Up, **processes: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    temporal = up.temporal()
    assert temporal is not None
    return {**{name: psutil.Process(process.pid) for name, process in processes.items()}, "temporal": temporal}


def _models_file(folder: Path, provider_url: str) -> Path:
    params = {"model": "openai/*", "api_base": provider_url, "api_key": "none"}
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": "*", "litellm_params": params}]}))
    return path
