"""`holdfast worker` serves its metrics if a port for them is set."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.authentication import DEFAULT_PROJECT, Caller, Keyring, Role
from cli.metrics_server import serving_metrics
from cli.ports import Address, bind
from infra.metrics import Metrics
from infra.settings import Settings
from tests.cli.program import DEADLINE_SECONDS, HOLDFAST, Place, free_ports, run_here, wait_until
from tests.cli.warm_program import started, warm_program
from tests.valkey import running_valkey

# One group, so that both share one worker.
WITH_WORKER = pytest.mark.xdist_group("metrics-worker")
OPEN = Keyring({}, Caller(DEFAULT_PROJECT, Role.OPERATOR))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, temporal_port: int) -> Iterator[str]:
    """The address of a worker's metrics."""
    folder = tmp_path_factory.mktemp("worker")
    place = Place.new(folder)
    (port,) = free_ports(1)
    assert run_here(place, "migrate").returncode == 0
    with running_valkey() as valkey:
        environment = place.environment(
            HOLDFAST_EVENT_STREAM_URL=valkey.url,
            HOLDFAST_METRICS_PORT=str(port),
            HOLDFAST_TASK_QUEUE=f"holdfast-{folder.name}",
            TEMPORAL_ADDRESS=f"127.0.0.1:{temporal_port}",
        )
        process = started([*HOLDFAST, "worker"], environment, folder / "worker.log")
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait() == 0


@pytest.mark.slow
@WITH_WORKER
def test_a_worker_serves_its_metrics(worker: str) -> None:
    def answers() -> bool:
        try:
            return httpx.get(f"{worker}/metrics").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    wait_until(answers)

    assert "holdfast_run_queue_seconds_bucket" in httpx.get(f"{worker}/metrics").text


@pytest.mark.slow
@WITH_WORKER
def test_a_metrics_port_in_use_is_refused(tmp_path: Path, worker: str) -> None:
    port = worker.rpartition(":")[2]
    wait_until(lambda: not _is_free(int(port)))

    environment = Place.new(tmp_path / "other").environment(
        HOLDFAST_EVENT_STREAM_URL="redis://127.0.0.1:1/0", HOLDFAST_METRICS_PORT=port
    )
    refused = warm_program().run(["worker"], environment)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"holdfast: Port {port} on 127.0.0.1 is in use.")
    assert "HOLDFAST_METRICS_PORT" in refused.stderr


def _is_free(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/metrics")
    except httpx.TransportError:
        return True
    return False


async def test_metrics_are_for_operators_where_keys_are_configured() -> None:
    [port] = free_ports(1)
    address = Address("HOLDFAST_METRICS_PORT", "127.0.0.1", port)
    keyring = Keyring.of(Settings(_env_file=None, api_keys={"sk-blue": "blue"}, operator_keys=("sk-operator",)))

    async with (
        serving_metrics(Metrics([]), keyring, bind(address), address),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        keys = ("sk-unknown", "sk-blue", "sk-operator")
        answers = [await http.get("/metrics", headers={"Authorization": f"Bearer {key}"}) for key in keys]
        without = await http.get("/metrics")
        health = await http.get("/health")

    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert "holdfast_run_queue_seconds" in answers[2].text
    assert without.json()["error"]["code"] == "invalid_api_key"
    assert (health.status_code, health.content) == (200, b"")


async def test_a_reader_that_takes_nothing_does_not_hold_up_the_end() -> None:
    [port] = free_ports(1)
    address = Address("HOLDFAST_METRICS_PORT", "127.0.0.1", port)
    sockets = bind(address)
    # So that the answer does not fit between server and reader.
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with reader:
        async with asyncio.timeout(DEADLINE_SECONDS), serving_metrics(Metrics([]), OPEN, sockets, address):
            await asyncio.to_thread(reader.connect, ("127.0.0.1", port))
            reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await asyncio.to_thread(reader.recv, 1) == b"H"
