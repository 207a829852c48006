"""The files of the deployment agree: compose, `.env.example`, Dockerfile and the packages."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.object_store.s3_url import parse_s3_url
from infra.settings import Settings
from tests.conftest import temporal_program
from tests.deployment.composed import ROOT, SECRETS, compose, composed

COMPOSE_FILE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
ONE_SHOTS = {"migrate", "temporal-schema", "temporal-namespace"}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return composed()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_not_set_is_asked_for(name: str) -> None:
    others = {secret: value for secret, value in SECRETS.items() if secret != name}

    refused = compose(others, "config", "--quiet")

    assert refused.returncode != 0
    assert f"set {name} in .env" in refused.stderr


def test_the_example_lists_every_variable_with_its_default() -> None:
    defaults = dict(re.findall(r"(?<!\$)\$\{([A-Z_]+)(?::-([^${}]*))?", COMPOSE_FILE))

    assert defaults.keys() <= EXAMPLE.keys()
    # The defaults of settings are those of the program: tests/cli/test_configuration.py.
    others = defaults.keys() - {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
    assert {name: EXAMPLE[name] for name in others} == {name: defaults[name] for name in others}


def test_the_example_gives_no_secret_away() -> None:
    assert [EXAMPLE[name] for name in SECRETS] == [""] * len(SECRETS)


@pytest.mark.parametrize("name", ["api", "worker", "migrate", "sandbox"])
def test_every_setting_of_a_service_is_one(name: str, whole: dict[str, Any]) -> None:
    given = {setting for setting in whole["services"][name]["environment"] if setting.startswith("HOLDFAST_")}

    assert given <= {f"HOLDFAST_{field.upper()}" for field in Settings.model_fields}


def test_every_service_stays_up_and_says_how_it_is(whole: dict[str, Any]) -> None:
    services = whole["services"]
    lasting = services.keys() - ONE_SHOTS

    assert {name for name in services if services[name]["restart"] == "unless-stopped"} == lasting
    assert {name for name in services if services[name]["restart"] == "on-failure"} == ONE_SHOTS
    assert {name for name in services if "healthcheck" in services[name]} == lasting - {"temporal-ui"}
    assert {name for name in services if "deploy" in services[name]} >= lasting


def test_only_public_ports_can_be_reached(whole: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in whole["services"].items() if "ports" in service}

    assert ports.keys() == {"proxy", "temporal-ui"}
    assert {port["host_ip"] for each in ports.values() for port in each} == {"127.0.0.1"}
    assert whole["networks"]["backend"]["internal"]
    assert {name for name, service in whole["services"].items() if "default" not in service["networks"]} >= {
        "objects",
        "postgres",
        "temporal",
        "valkey",
        "weaviate",
    }


def test_the_sandbox_knows_nothing_and_reaches_nothing(whole: dict[str, Any]) -> None:
    sandbox = whole["services"]["sandbox"]

    assert sandbox["environment"].keys() <= {
        "HOLDFAST_LOG_FORMAT",
        "HOLDFAST_LOG_LEVEL",
        "HOLDFAST_SANDBOX_LISTEN",
        "HOLDFAST_SANDBOX_PACKAGES",
        "HOLDFAST_SANDBOX_TOKEN",
    }
    assert not {"env_file", "volumes", "ports", "depends_on"} & sandbox.keys()
    assert sandbox["networks"].keys() == {"sandbox"}
    assert whole["networks"]["sandbox"]["internal"]
    with_access = {name for name, service in whole["services"].items() if "sandbox" in service["networks"]}
    assert with_access == {"api", "worker", "sandbox"}
    assert (sandbox["cap_drop"], sandbox["read_only"]) == (["ALL"], True)
    assert sandbox["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}


def test_code_may_be_left_out() -> None:
    without = composed(HOLDFAST_SANDBOX_URL="none", SANDBOX_REPLICAS="0")["services"]

    assert {without[name]["environment"]["HOLDFAST_SANDBOX_URL"] for name in ("api", "worker")} == {"none"}
    assert without["sandbox"]["deploy"]["replicas"] == 0


def test_temporal_is_of_the_version_that_the_tests_run(whole: dict[str, Any]) -> None:
    said = subprocess.run([temporal_program(), "--version"], capture_output=True, text=True, check=True).stdout
    [server, ui] = re.findall(r"Server ([\d.]+), UI ([\d.]+)", said)[0]

    images = {name: whole["services"][name]["image"] for name in whole["services"] if name.startswith("temporal")}
    assert images == {
        "temporal": f"temporalio/server:{server}",
        "temporal-schema": f"temporalio/admin-tools:{server}",
        "temporal-namespace": f"temporalio/admin-tools:{server}",
        "temporal-ui": f"temporalio/ui:{ui}",
    }


def test_the_s3_server_is_of_the_version_that_the_tests_run(whole: dict[str, Any]) -> None:
    program = Path(sys.executable).with_name("weed")
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    [version] = re.findall(r"^version \S+ ([\d.]+) ", said)

    assert whole["services"]["objects"]["image"] == f"chrislusf/seaweedfs:{version}"


def test_another_bucket_may_take_the_place_of_the_s3_server() -> None:
    url = "s3://KEY:SECRET@s3.example/bucket"
    given = composed(HOLDFAST_OBJECT_STORE_URL=url)["services"]
    default = composed()["services"]

    for name in ("api", "worker"):
        assert given[name]["environment"]["HOLDFAST_OBJECT_STORE_URL"] == url
        address = parse_s3_url(default[name]["environment"]["HOLDFAST_OBJECT_STORE_URL"])
        server = default["objects"]["environment"]
        assert (address.key, address.secret) == (server["AWS_ACCESS_KEY_ID"], server["AWS_SECRET_ACCESS_KEY"])


def test_weaviate_keeps_its_data_and_tells_nobody(whole: dict[str, Any]) -> None:
    service = whole["services"]["weaviate"]
    [volume] = service["volumes"]

    assert (volume["type"], volume["target"]) == ("volume", service["environment"]["PERSISTENCE_DATA_PATH"])
    assert service["environment"]["DISABLE_TELEMETRY"] == "true"
    # Its data belong to the node of this name, so no container may choose another.
    assert service["environment"]["CLUSTER_HOSTNAME"]
    assert re.fullmatch(r"cr\.weaviate\.io/semitechnologies/weaviate:\d+\.\d+\.\d+", service["image"])


def test_search_is_in_weaviate_unless_it_is_left_out(whole: dict[str, Any]) -> None:
    without = composed(HOLDFAST_VECTOR_INDEX_URL="", WEAVIATE_REPLICAS="0")["services"]

    for name in ("api", "worker"):
        assert whole["services"][name]["environment"]["HOLDFAST_VECTOR_INDEX_URL"] == "weaviate://weaviate:8080"
        assert whole["services"][name]["depends_on"]["weaviate"]["condition"] == "service_healthy"
        assert without[name]["environment"]["HOLDFAST_VECTOR_INDEX_URL"] == ""
    assert without["weaviate"]["deploy"]["replicas"] == 0


def test_provider_keys_reach_workers_only(whole: dict[str, Any], tmp_path: Any) -> None:
    keys = tmp_path / "providers.env"
    keys.write_text("EXAMPLE_API_KEY=sk-example\n")

    services = composed(HOLDFAST_PROVIDER_KEYS=str(keys))["services"]

    assert [name for name in services if "EXAMPLE_API_KEY" in services[name].get("environment", {})] == ["worker"]


def test_further_settings_reach_apis_and_workers(whole: dict[str, Any], tmp_path: Any) -> None:
    settings = tmp_path / "holdfast.env"
    settings.write_text("HOLDFAST_RUN_EXPIRY_SECONDS=3600\nHOLDFAST_HOST=127.0.0.9\n")

    services = composed(HOLDFAST_SETTINGS_FILE=str(settings))["services"]

    given = {name: service.get("environment", {}) for name, service in services.items()}
    with_it = {name for name, values in given.items() if "HOLDFAST_RUN_EXPIRY_SECONDS" in values}
    assert with_it == {"api", "worker", "migrate"}
    # Compose's own variables stay.
    assert given["api"]["HOLDFAST_HOST"] == "0.0.0.0"


def test_the_image_has_every_package_and_nothing_else() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    ignore = (ROOT / ".dockerignore").read_text().splitlines()

    copied = re.findall(r"^COPY (?!--from)(.+) \./?\S*$", DOCKERFILE, re.MULTILINE)
    let_in = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    assert {name for line in copied for name in line.split()} == let_in
    assert let_in - {"requirements.lock", "pyproject.toml", "README.md"} == set(packages["packages"])
    assert all((ROOT / name).exists() for name in let_in)


def test_the_image_runs_locked_packages_and_not_as_root() -> None:
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE
    assert "requirements-dev" not in DOCKERFILE
    assert re.search(r"^USER (?!root)\S+$", last_stage, re.MULTILINE)


def test_disk_of_the_sandbox_fits_into_its_memory(whole: dict[str, Any]) -> None:
    sandbox = whole["services"]["sandbox"]
    [size] = re.findall(r"size=(\d+)g", " ".join(sandbox["tmpfs"]))

    assert int(size) << 30 < int(sandbox["deploy"]["resources"]["limits"]["memory"])
