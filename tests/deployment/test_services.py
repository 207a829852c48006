"""The services of docker-compose.yml, run from their packages with the settings that it gives them.

What cannot be run here is the images: Caddy, and Temporal on Postgres, whose place the dev server of the same version
takes.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from openai import OpenAI
from temporalio.testing import WorkflowEnvironment

from tests.cli.program import DEADLINE_SECONDS, HOLDFAST, free_ports, wait_until
from tests.deployment.composed import ROOT, SECRETS, composed
from tests.deployment.postgres import running_postgres
from tests.deployment.valkey import running_valkey

pytestmark = pytest.mark.xdist_group("deployment")

PROGRAMS = str(Path(HOLDFAST[0]).parent)


class Deployment:
    """Postgres and Temporal on loopback, and Holdfast's services as processes."""

    def __init__(self, temporal_port: int) -> None:
        self.services: dict[str, Any] = composed()["services"]
        self.postgres_port, self.valkey_port, self.api_port, self.other_api_port, self.metrics_port = free_ports(5)
        self._hosts = {
            "@postgres:5432": f"@127.0.0.1:{self.postgres_port}",
            "//valkey:6379": f"//127.0.0.1:{self.valkey_port}",
            "temporal:7233": f"127.0.0.1:{temporal_port}",
            "0.0.0.0": "127.0.0.1",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self, name: str) -> int:
        """Run a one-shot service to its end."""
        return subprocess.run(self._command(name), cwd=ROOT, env=self.environment(name), check=False).returncode

    def start(self, name: str, **changes: str) -> dict[str, str]:
        """Start a service. Returns its environment."""
        environment = self.environment(name, **changes)
        self._processes.append(subprocess.Popen(self._command(name), cwd=ROOT, env=environment))
        return environment

    def stop(self) -> None:
        """End all services at once, as `docker compose down` does."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            assert process.wait(DEADLINE_SECONDS) == 0

    def is_healthy(self, name: str, environment: Mapping[str, str]) -> bool:
        """What the service's own health check says."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def environment(self, name: str, **changes: str) -> dict[str, str]:
        given = {setting: self._mapped(value) for setting, value in self.services[name]["environment"].items()}
        return {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOLDFAST_TASK_QUEUE": "deployed", **given, **changes}

    def _command(self, name: str) -> list[str]:
        return [*HOLDFAST, *self.services[name]["command"]]

    def _mapped(self, value: str) -> str:
        for host, here in self._hosts.items():
            value = value.replace(host, here)
        return value


@pytest.fixture(scope="module")
def deployment(temporal: WorkflowEnvironment, temporal_port: int) -> Iterator[Deployment]:
    deployed = Deployment(temporal_port)
    service = deployed.services["postgres"]
    script = composed()["configs"]["databases"]["content"]
    with (
        running_postgres(deployed.postgres_port, service["command"][1:], script, service["environment"]),
        running_valkey(deployed.valkey_port, deployed.services["valkey"]["command"][1:]),
    ):
        yield deployed
        deployed.stop()


def test_each_role_owns_its_databases_and_no_other(deployment: Deployment) -> None:
    password = SECRETS["TEMPORAL_DB_PASSWORD"]
    address = f"host=127.0.0.1 port={deployment.postgres_port} user=temporal password={password}"

    with psycopg.connect(f"{address} dbname=temporal_visibility", autocommit=True) as connection:
        connection.execute("CREATE TABLE schema_version (version text)")
    with (
        psycopg.connect(f"{address} dbname=holdfast") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE public.intruder ()")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host=127.0.0.1 port={deployment.postgres_port} user=holdfast password=guess dbname=holdfast")


def test_two_apis_and_a_worker_carry_out_a_run(deployment: Deployment) -> None:
    assert deployment.run("migrate") == 0
    api = deployment.start("api", HOLDFAST_PORT=str(deployment.api_port))
    other_api = deployment.start("api", HOLDFAST_PORT=str(deployment.other_api_port))
    worker = deployment.start("worker", HOLDFAST_METRICS_PORT=str(deployment.metrics_port))
    wait_until(lambda: deployment.is_healthy("api", api) and deployment.is_healthy("api", other_api))
    wait_until(lambda: deployment.is_healthy("worker", worker))

    first, second = (_client(port) for port in (deployment.api_port, deployment.other_api_port))
    assistant = first.beta.assistants.create(model="holdfast/scripted")
    thread = first.beta.threads.create(messages=[{"role": "user", "content": "Hello!"}])
    run = second.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)

    assert run.status == "completed"
    [answer, _] = first.beta.threads.messages.list(thread.id).data
    assert answer.content[0].type == "text"
    assert answer.content[0].text.value == "You said: Hello!"


def test_a_health_check_tells_of_a_service_that_is_not_there(deployment: Deployment) -> None:
    (port,) = free_ports(1)

    assert not deployment.is_healthy("api", deployment.environment("api", HOLDFAST_PORT=str(port)))
    assert not deployment.is_healthy("worker", deployment.environment("worker", HOLDFAST_METRICS_PORT=str(port)))


def _client(port: int) -> OpenAI:
    return OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=SECRETS["HOLDFAST_API_KEYS"].partition("=")[0])
