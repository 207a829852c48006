"""A real Weaviate, built from its Go module by `make test-weaviate`. It ends with this process.

`python -m tests.weaviate_server` builds it before tests ask for it.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.cli.program import ROOT, free_ports, tied
from tests.go_modules import GoModule

START_SECONDS = 60
WEAVIATE = [pytest.mark.weaviate, pytest.mark.xdist_group("weaviate")]
"""The marks of tests that need it: `make test`, which builds nothing, leaves them out; the others share one server."""


def weaviate_module() -> GoModule:
    """Of the version that docker-compose.yml has."""
    version = "v" + str(_service()["image"]).rpartition(":")[2]
    return GoModule("github.com/weaviate/weaviate", version, {"weaviate-server": "cmd/weaviate-server"})


class WeaviateServer:
    """It keeps its data when started after `kill`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.key = secrets.token_hex(16)
        self.port, self.grpc_port, *self._ports = free_ports(6)
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {self.key}"}
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"weaviate://{self.key}@127.0.0.1:{self.port}?grpc_port={self.grpc_port}"

    @property
    def data_folder(self) -> Path:
        return self._folder / "data"

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None, "it is not started"
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        program = str(weaviate_module().built() / "weaviate-server")
        command = [program, "--host", "127.0.0.1", "--port", str(self.port), "--scheme", "http"]
        log = self._folder / "weaviate.log"
        with log.open("a") as output:
            self._process = subprocess.Popen(
                tied(command), env={**os.environ, **self._settings()}, cwd=self._folder, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, log.read_text()[-5000:]
            assert time.monotonic() < deadline, log.read_text()[-5000:]
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self._http.close()

    def freeze(self) -> None:
        """Stop its process; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def collections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/schema")["classes"]
        return found

    def tenants(self, collection: str) -> list[str]:
        return [each["name"] for each in self.get(f"/v1/schema/{collection}/tenants")]

    def objects(self, collection: str, tenant: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/v1/objects?class={collection}&tenant={tenant}&limit=10000")["objects"]
        return found

    def empty(self) -> None:
        for each in self.collections():
            self._http.delete(f"/v1/schema/{each['class']}").raise_for_status()

    def get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def answers(self, path: str = "/v1/.well-known/ready") -> bool:
        try:
            return self._http.get(path).is_success
        except httpx.TransportError:
            return False

    def _settings(self) -> dict[str, str]:
        """Those of docker-compose.yml but for places. Some ports are open beyond loopback: each asks for the key."""
        gossip, data, raft, internal = map(str, self._ports)
        return {
            **{name: str(value) for name, value in _service()["environment"].items()},
            "PERSISTENCE_DATA_PATH": str(self.data_folder),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.key,
            "AUTHENTICATION_APIKEY_USERS": "holdfast",
            "CLUSTER_BASIC_AUTH_USERNAME": "holdfast",
            "CLUSTER_BASIC_AUTH_PASSWORD": self.key,
            "GRPC_PORT": str(self.grpc_port),
            "CLUSTER_GOSSIP_BIND_PORT": gossip,
            "CLUSTER_DATA_BIND_PORT": data,
            "RAFT_PORT": raft,
            "RAFT_INTERNAL_RPC_PORT": internal,
        }

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextmanager
def running_weaviate(server: WeaviateServer) -> Iterator[WeaviateServer]:
    server.start()
    try:
        yield server
    finally:
        server.close()


def _service() -> dict[str, Any]:
    service: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["weaviate"]
    return service


if __name__ == "__main__":
    weaviate_module().built()
