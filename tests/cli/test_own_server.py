"""What the operator's commands read of the settings is what the server reads, and where they find the server."""

from pathlib import Path

import pytest

from cli.api_url import api_url
from cli.configuration import InvalidSettings
from cli.data_folder import hold_data_folder
from cli.own_server import OwnServer
from infra.settings import Settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOST", "PORT", "DATA_DIR", "API_KEYS", "OPERATOR_KEYS"):
        monkeypatch.delenv(f"HOLDFAST_{name}", raising=False)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HOLDFAST_PORT": "8001", "HOLDFAST_HOST": "0.0.0.0", "HOLDFAST_API_KEYS": "sk-a=red, sk-b==blue,"},
        {
            "holdfast_port": "8001",
            "HOLDFAST_HOST": "::",
            "HOLDFAST_DATA_DIR": "/data",
            "HOLDFAST_OPERATOR_KEYS": "x, y",
        },
        {"HOLDFAST_OPERATOR_KEYS": "", "HOLDFAST_API_KEYS": ""},
        {"HOLDFAST_PORT": "8001.0", "HOLDFAST_HOST": "localhost"},
    ],
)
def test_the_settings_are_read_as_the_server_reads_them(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)

    read = OwnServer.of_environment()

    assert read.url == api_url(settings)
    assert (read.data_dir, read.api_keys, read.operator_keys) == (
        settings.data_dir,
        settings.api_keys,
        settings.operator_keys,
    )


@pytest.mark.parametrize(
    ("name", "value"), [("HOLDFAST_PORT", "70000"), ("HOLDFAST_PORT", "http"), ("HOLDFAST_API_KEYS", "sk-secret")]
)
def test_a_setting_out_of_its_range_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings, match=name):
        OwnServer.of_environment()


def test_without_a_port_the_server_on_the_data_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold_data_folder(tmp_path / ".holdfast") as folder:
        folder.note_address("http://127.0.0.1:8001")
        found = OwnServer.of_environment().url
        monkeypatch.setenv("HOLDFAST_PORT", "8002")
        explicit = OwnServer.of_environment().url
    monkeypatch.delenv("HOLDFAST_PORT")

    assert (found, explicit, OwnServer.of_environment().url) == (
        "http://127.0.0.1:8001",
        "http://127.0.0.1:8002",
        "http://127.0.0.1:8000",
    )
