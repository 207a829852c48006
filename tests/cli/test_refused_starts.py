"""A start that cannot be says why in one line that names the setting, and ends with code 1."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.program import Place, free_ports, run_here, run_to_end
from tests.cli.warm_program import Ended, warm_program

# In one group with the other tests that use the warm program.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli-up")]

# Settings that `holdfast api` and `holdfast worker` require first.
APART = {"HOLDFAST_EVENT_STREAM_URL": "redis://127.0.0.1:6379/0"}


def refusal(place: Place, *command: str, **environment: str) -> str:
    return line_of(warm_program().run(command, place.environment(**environment)))


def line_of(refused: Ended | CompletedProcess[str]) -> str:
    lines = refused.stderr.splitlines()
    assert (refused.returncode, refused.stdout, len(lines)) == (1, "", 1), refused
    return lines[0]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.new(tmp_path)


@pytest.mark.parametrize("command", ["up", "api", "worker", "migrate"])
def test_setting_out_of_range(place: Place, command: str) -> None:
    line = line_of(run_to_end(place, command, HOLDFAST_PORT="70000"))

    assert line.startswith("holdfast: HOLDFAST_PORT=70000: input should be less than or equal to 65535.")


def test_secret_setting_is_not_printed(place: Place) -> None:
    line = refusal(place, "up", HOLDFAST_API_KEYS="sk-secret")

    assert line.startswith("holdfast: HOLDFAST_API_KEYS: expected")


def test_data_folder_that_cannot_be_made(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    line = refusal(place, "up", HOLDFAST_DATA_DIR=str(tmp_path / "file" / "data"))

    assert line.startswith(f"holdfast: The data folder {tmp_path}/file/data cannot be used: Not a directory.")
    assert "HOLDFAST_DATA_DIR" in line


def test_one_port_for_two_servers(place: Place) -> None:
    line = refusal(place, "up", HOLDFAST_TEMPORAL_PORT=str(place.port))

    assert line == f"holdfast: HOLDFAST_PORT and HOLDFAST_TEMPORAL_PORT are both {place.port}: change one of them."


@pytest.mark.parametrize("command", ["up", "api"])
def test_an_api_beyond_loopback_without_keys(place: Place, command: str) -> None:
    line = refusal(place, command, HOLDFAST_HOST="0.0.0.0", HOLDFAST_OPERATOR_KEYS="sk-operator", **APART)

    assert line == "holdfast: HOLDFAST_HOST=0.0.0.0 is not loopback: set HOLDFAST_API_KEYS as well."


def test_a_workers_metrics_beyond_loopback_without_operators_keys(place: Place) -> None:
    beyond = {"HOLDFAST_HOST": "0.0.0.0", "HOLDFAST_METRICS_PORT": "9464"}

    line = refusal(place, "worker", HOLDFAST_API_KEYS="sk-key=project", **beyond, **APART)

    assert line == (
        "holdfast: HOLDFAST_METRICS_PORT=9464 on HOLDFAST_HOST=0.0.0.0, which is not loopback: set "
        "HOLDFAST_OPERATOR_KEYS as well."
    )


def test_a_key_of_a_project_and_of_an_operator(place: Place) -> None:
    line = refusal(place, "up", HOLDFAST_API_KEYS="sk-secret=project", HOLDFAST_OPERATOR_KEYS="sk-secret")

    assert line.startswith("holdfast: a key is in both HOLDFAST_API_KEYS and HOLDFAST_OPERATOR_KEYS.")
    assert "sk-secret" not in line


def test_a_worker_needs_no_api_keys(place: Place, temporal_port: int) -> None:
    """It gets as far as the database, which is not migrated."""
    beyond = {"HOLDFAST_HOST": "0.0.0.0", "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal_port}", **APART}
    metrics = {"HOLDFAST_METRICS_PORT": str(free_ports(1)[0]), "HOLDFAST_OPERATOR_KEYS": "sk-operator"}
    place.data_dir.mkdir()

    for more in ({}, metrics):
        assert refusal(place, "worker", **beyond, **more).endswith("Run `holdfast migrate`.")


def test_host_of_another_machine(place: Place) -> None:
    line = refusal(place, "api", HOLDFAST_HOST="192.0.2.1", HOLDFAST_API_KEYS="key=project", **APART)

    assert line.startswith(f"holdfast: Cannot listen on 192.0.2.1, port {place.port}: ")


def test_models_file_that_is_not_there(place: Place) -> None:
    line = refusal(place, "up", HOLDFAST_MODELS="/no/models.yaml")

    assert "HOLDFAST_MODELS=/no/models.yaml" in line


@pytest.mark.parametrize("command", ["up", "migrate"])
def test_database_that_does_not_answer(place: Place, command: str) -> None:
    (port,) = free_ports(1)

    line = refusal(place, command, HOLDFAST_DATABASE_URL=f"postgresql+psycopg://holdfast:secret@127.0.0.1:{port}/h")

    assert "HOLDFAST_DATABASE_URL" in line
    assert "secret" not in line


@pytest.mark.parametrize("url", ["nonsense", "nosuch://database/h", "postgresql+nosuch://database/h"])
def test_database_url_that_names_no_database(place: Place, url: str) -> None:
    line = refusal(place, "migrate", HOLDFAST_DATABASE_URL=url)

    assert "HOLDFAST_DATABASE_URL" in line


@pytest.mark.parametrize("command", ["up", "worker"])
def test_temporal_that_does_not_answer(place: Place, command: str) -> None:
    assert run_here(place, "migrate").returncode == 0
    (port,) = free_ports(1)

    line = refusal(place, command, TEMPORAL_ADDRESS=f"127.0.0.1:{port}", **APART)

    assert line.startswith(f"holdfast: Temporal at 127.0.0.1:{port} does not answer")
    assert "TEMPORAL_ADDRESS" in line


def test_temporal_profile_that_is_not_there(place: Place) -> None:
    line = refusal(place, "up", TEMPORAL_PROFILE="nosuch")

    assert "TEMPORAL_PROFILE" in line


def test_temporal_database_that_is_broken(place: Place) -> None:
    place.data_dir.mkdir()
    (place.data_dir / "temporal.db").write_text("not a database")

    line = refusal(place, "up")

    assert line.startswith("holdfast: The embedded Temporal server ended with exit code 1")
    assert "temporal.log" in line


@pytest.mark.parametrize("command", ["api", "worker"])
def test_database_that_was_not_migrated(place: Place, command: str, temporal_port: int) -> None:
    place.data_dir.mkdir()

    line = refusal(place, command, TEMPORAL_ADDRESS=f"127.0.0.1:{temporal_port}", **APART)

    assert line.endswith("Run `holdfast migrate`.")


@pytest.mark.parametrize("command", ["api", "worker"])
def test_processes_apart_without_a_way_for_events_between_them(place: Place, command: str) -> None:
    line = refusal(place, command)

    assert "set HOLDFAST_EVENT_STREAM_URL to a Redis or Valkey" in line
    assert "`holdfast up`" in line


def test_event_stream_that_does_not_answer(place: Place, temporal_port: int) -> None:
    assert run_here(place, "migrate").returncode == 0
    (port,) = free_ports(1)

    url = f"redis://:secret@127.0.0.1:{port}/0"
    line = refusal(place, "api", TEMPORAL_ADDRESS=f"127.0.0.1:{temporal_port}", HOLDFAST_EVENT_STREAM_URL=url)

    assert line.startswith("holdfast: The event stream's Redis does not answer: ")
    assert "HOLDFAST_EVENT_STREAM_URL" in line
    assert "secret" not in line


@pytest.mark.parametrize("url", ["localhost:6379", "kafka://:secret@localhost", "redis://localhost:port/0", "nonsense"])
def test_event_stream_url_that_names_none(place: Place, url: str, temporal_port: int) -> None:
    assert run_here(place, "migrate").returncode == 0

    line = refusal(place, "api", TEMPORAL_ADDRESS=f"127.0.0.1:{temporal_port}", HOLDFAST_EVENT_STREAM_URL=url)

    assert "HOLDFAST_EVENT_STREAM_URL" in line
    assert "secret" not in line


def test_version_on_a_task_queue_that_names_no_deployment(place: Place) -> None:
    line = refusal(place, "worker", HOLDFAST_BUILD_ID="1.0.2", HOLDFAST_TASK_QUEUE="holdfast.eu")

    assert line.startswith(
        "holdfast: HOLDFAST_TASK_QUEUE=holdfast.eu may have no . or : where HOLDFAST_BUILD_ID is set"
    )
