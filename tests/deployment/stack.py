"""The services of docker-compose.yml as processes on loopback: their images' programs, with the settings it gives."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from openai import AsyncOpenAI

from tests.cli.program import HOLDFAST, ROOT, free_ports
from tests.deployment.composed import SECRETS, composed
from tests.deployment.modules import temporal_server, temporal_ui
from tests.deployment.names import Replicas, resolving
from tests.go_modules import SPARING
from tests.postgres.server import WITH_EXTENSIONS, PostgresServer, running_postgres
from tests.program import Program
from tests.sandbox_process import without_packages
from tests.valkey import ValkeyServer, running_valkey
from tests.weaviate_server import WeaviateServer, running_weaviate

SCRIPTS = Path(HOLDFAST[0]).parent
OBJECTS_PORT = 8333
# Of its parts other than S3, which Compose does not publish.
OBJECTS_PORTS = (
    *(f"{part}.port{kind}" for part in ("master", "volume", "filer") for kind in ("", ".grpc")),
    "s3.port.grpc",
)
API_ADDRESSES = ("127.0.0.1", "127.0.0.2")
TEMPORAL_PORTS = (
    *(f"{name}_{kind}_PORT" for name in ("HISTORY", "MATCHING", "WORKER") for kind in ("GRPC", "MEMBERSHIP")),
    "FRONTEND_MEMBERSHIP_PORT",
    "FRONTEND_HTTP_PORT",
)


class Stack:
    """All services. Other than in Compose: hosts and ports, more sweeps, and a models file as the docs add it."""

    def __init__(self, folder: Path, models: Path) -> None:
        self._folder = folder
        self._composed = composed()
        self.services: dict[str, Any] = self._composed["services"]
        self.postgres_port, self.valkey_port, self.temporal_port, self.temporal_metrics_port = free_ports(4)
        [self.sandbox_port] = free_ports(1)
        self.objects_port, *self._objects_ports = free_ports(1 + len(OBJECTS_PORTS))
        self.api_port, self.proxy_port, self.ui_port, self.dns_port, *self.worker_ports = free_ports(6)
        # Of 15 bits, as Temporal keeps them in Postgres as numbers with a sign.
        self._temporal_ports = dict(zip(TEMPORAL_PORTS, map(str, free_ports(len(TEMPORAL_PORTS))), strict=True))
        self._models = models
        self.replicas = Replicas("api", API_ADDRESSES)
        self.programs: dict[str, Program] = {}
        self.postgres: PostgresServer
        self.weaviate = WeaviateServer(folder)

    @property
    def url(self) -> str:
        """Where clients come in."""
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def objects_url(self) -> str:
        return f"http://127.0.0.1:{self.objects_port}"

    @property
    def objects_folder(self) -> Path:
        """What the volume of the S3 server is."""
        return self._folder / "objects"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    def client(self) -> AsyncOpenAI:
        key = SECRETS["HOLDFAST_API_KEYS"].partition("=")[0]
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stack"]:
        """Bring all of it up in the order of its dependencies, as `docker compose up --wait` does."""
        postgres, valkey = self.services["postgres"], self.services["valkey"]
        with ExitStack() as servers:
            arguments = postgres["command"][1:]
            self.postgres = servers.enter_context(running_postgres(WITH_EXTENSIONS, self.postgres_port, arguments))
            self.shell(self._composed["configs"]["databases"]["content"], postgres["environment"])
            servers.enter_context(running_valkey(ValkeyServer(self.valkey_port, valkey["command"][1:])))
            servers.enter_context(running_weaviate(self.weaviate))
            servers.enter_context(resolving(self.replicas, self.dns_port))
            try:
                for service in (
                    "objects",
                    "temporal-schema",
                    "temporal",
                    "temporal-namespace",
                    "temporal-ui",
                    "migrate",
                ):
                    await self.up(service)
                await asyncio.gather(*(self.up(service) for service in ("api", "worker", "sandbox")))
                await self.up("proxy")
                yield self
            finally:
                await self.stop("proxy", "api", "worker", "sandbox", "temporal-ui", "temporal")
                # Its stop takes 15 s; tests of a backup wait for it.
                if objects := self.programs.get("objects-1"):
                    objects.kill()

    async def up(self, service: str) -> None:
        """Start all replicas of a service and wait until health checks are content; a one-shot runs to its end."""
        if self.services[service]["restart"] == "on-failure":
            await asyncio.to_thread(self._run, service)
            return
        replicas = self._replicas(service)
        self.programs |= replicas
        await asyncio.gather(*(program.start() for program in replicas.values()))

    async def stop(self, *services: str) -> None:
        """SIGTERM, and wait until all replicas have ended."""
        for service in services:
            programs = [program for name, program in self.programs.items() if name.rpartition("-")[0] == service]
            await asyncio.gather(*(program.stop() for program in programs))

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """The environment that Compose gives the service, with local addresses."""
        given = {
            name: self._here(service, value) for name, value in self.services[service].get("environment", {}).items()
        }
        path = f"{SCRIPTS}:{temporal_server().built()}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self._folder), **SPARING, **given, **more}

    async def is_healthy(self, service: str, environment: Mapping[str, str]) -> bool:
        """The result of the service's own health check, or of an equivalent if only the image has its program."""
        kind, program, *arguments = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        match program, arguments:
            case "nc", ["-z", "localhost", "7233"]:
                return _takes_connections(self.temporal_port)
            case "wget", ["-q", "-O", "/dev/null", url]:
                here = {8000: self.url, OBJECTS_PORT: self.objects_url}
                return await _succeeds(f"{here[urlsplit(url).port or 0]}{urlsplit(url).path}")
            case "python", _:
                command = [str(SCRIPTS / "python"), *arguments]
                return (
                    await asyncio.to_thread(subprocess.call, command, env=environment, stderr=subprocess.DEVNULL) == 0
                )
        raise AssertionError(f"no such health check: {program} {arguments}")

    def shell(self, script: str, environment: Mapping[str, str]) -> str:
        """Run `script` as a shell of a container does, with the programs of `postgres`. Returns what it writes."""
        path = f"{self.postgres.programs}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._folder,
            env={**environment, **self.postgres.socket, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, service: str) -> None:
        done = subprocess.run(
            self._command(service),
            cwd=ROOT,
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{service}: {done.stdout[-2000:]} {done.stderr[-2000:]}"

    def _command(self, service: str) -> list[str]:
        """The image's program. One that is started in a shell has its folders in the script."""
        settings = self.services[service]
        match service:
            case "api" | "worker" | "migrate" | "sandbox":
                return [*HOLDFAST, *settings["command"]]
            case "temporal-schema" | "temporal-namespace":
                shell, *options = settings["entrypoint"]
                [script] = settings["command"]
                schema = temporal_server().built() / "schema"
                return [shell, *options, script.replace("/etc/temporal/schema", str(schema))]
            case "temporal":
                return [_bash(), str(temporal_server().built() / "docker/scripts/sh/entrypoint.sh")]
            case "temporal-ui":
                return [_bash(), "docker/start-ui-server.sh"]
            case "objects":
                self.objects_folder.mkdir(exist_ok=True)
                mapped = zip(OBJECTS_PORTS, self._objects_ports, strict=True)
                ports = [f"-{name}={port}" for name, port in mapped]
                given = [self._here(service, argument) for argument in settings["command"]]
                # The last of two options counts.
                return [str(SCRIPTS / "weed"), *given, f"-dir={self.objects_folder}", *ports]
            case "proxy":
                return [str(SCRIPTS / "caddy"), "run", "--adapter", "caddyfile", "--config", str(self._caddyfile())]
        raise AssertionError(f"no such service: {service}")

    def _replicas(self, service: str) -> dict[str, Program]:
        match service:
            case "api":
                more = [{"HOLDFAST_HOST": host, "HOLDFAST_PORT": str(self.api_port)} for host in API_ADDRESSES]
            case "worker":
                more = [{"HOLDFAST_METRICS_PORT": str(port)} for port in self.worker_ports]
            case "sandbox":
                more = [{"HOLDFAST_SANDBOX_PACKAGES_DIR": str(without_packages(self._folder))}]
            case "temporal":
                more = [{"FRONTEND_GRPC_PORT": str(self.temporal_port), **self._temporal_ports}]
            case "temporal-ui":
                more = [{"TEMPORAL_UI_PORT": str(self.ui_port)}]
            case _:
                more = [{}]
        assert len(more) == self.services[service]["deploy"].get("replicas", 1)
        return {
            f"{service}-{number}": self._program(service, f"{service}-{number}", changes)
            for number, changes in enumerate(more, 1)
        }

    def _program(self, service: str, name: str, changes: Mapping[str, str]) -> Program:
        ours = {"HOLDFAST_MODELS": str(self._models), "HOLDFAST_SWEEP_INTERVAL_SECONDS": "1"}
        environment = self.environment(service, **(ours if service in {"api", "worker"} else {}), **changes)

        async def answers() -> bool:
            if service == "temporal-ui":
                return await _succeeds(self.ui_url)
            if service == "api":
                return await _succeeds(f"http://{changes['HOLDFAST_HOST']}:{self.api_port}/health")
            if service == "sandbox":
                return await _succeeds(f"http://127.0.0.1:{self.sandbox_port}/health")
            if service == "worker":
                return await _succeeds(f"http://127.0.0.1:{changes['HOLDFAST_METRICS_PORT']}/health")
            return await self.is_healthy(service, environment)

        folder = temporal_ui().built() if service == "temporal-ui" else ROOT
        log = self._folder / f"{name}.log"
        return Program(name, self._command(service), log, environment, answers, folder)

    def _here(self, service: str, value: str) -> str:
        value = {
            "postgres": "127.0.0.1",
            "5432": str(self.postgres_port),
            "0.0.0.0:9090": f"127.0.0.1:{self.temporal_metrics_port}",
        }.get(value, value)
        for there, here in {
            "@postgres:5432": f"@127.0.0.1:{self.postgres_port}",
            "//valkey:6379": f"//127.0.0.1:{self.valkey_port}",
            f"@objects:{OBJECTS_PORT}": f"@127.0.0.1:{self.objects_port}",
            f"-s3.port={OBJECTS_PORT}": f"-s3.port={self.objects_port}",
            "weaviate://weaviate:8080": self.weaviate.url,
            "temporal:7233": f"127.0.0.1:{self.temporal_port}",
            "sandbox:8290": f"127.0.0.1:{self.sandbox_port}",
            "0.0.0.0:8290": f"127.0.0.1:{self.sandbox_port}",
            "0.0.0.0": "127.0.0.1",
            **{config["target"]: str(self._config(config["source"])) for config in self._configs(service)},
        }.items():
            value = value.replace(there, here)
        return value

    def _configs(self, service: str) -> list[dict[str, str]]:
        configs: list[dict[str, str]] = self.services[service].get("configs", [])
        return configs

    def _config(self, name: str) -> Path:
        path = self._folder / f"{name}.config"
        path.write_text(self._composed["configs"][name]["content"])
        return path

    def _caddyfile(self) -> Path:
        path = self._config("caddyfile")
        there = path.read_text()
        here = there.replace(":8000 {", f":{self.proxy_port} {{\n\tbind 127.0.0.1", 1)
        upstream = f"dynamic a api {self.api_port} {{\n\t\t\tresolvers 127.0.0.1:{self.dns_port}"
        path.write_text(here.replace("dynamic a api 8000 {", upstream, 1))
        return path


def _bash() -> str:
    # The images' /bin/sh knows `pipefail`; Debian's does not.
    return shutil.which("bash") or "/bin/bash"


def _takes_connections(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False


async def _succeeds(url: str) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).is_success
    except httpx.TransportError:
        return False
