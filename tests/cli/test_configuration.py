"""Settings from `.env`, which contains the keys of model providers as well."""

import os
from pathlib import Path

import pytest

from cli.configuration import load_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment that is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in ("HOLDFAST_PORT", "EXAMPLE_API_KEY"):
        os.environ.pop(name, None)
    return tmp_path


def test_dot_env_sets_settings_and_providers_keys(folder: Path) -> None:
    (folder / ".env").write_text("HOLDFAST_PORT=8123\nEXAMPLE_API_KEY=sk-example\n")

    settings = load_settings()

    assert settings.port == 8123
    assert os.environ["EXAMPLE_API_KEY"] == "sk-example"


def test_the_environment_wins_over_dot_env(folder: Path) -> None:
    (folder / ".env").write_text("HOLDFAST_PORT=8123\n")
    os.environ["HOLDFAST_PORT"] = "8124"

    assert load_settings().port == 8124


def test_lists_are_comma_separated(folder: Path) -> None:
    (folder / ".env").write_text("HOLDFAST_OPERATOR_KEYS=sk-a, sk-b,\nHOLDFAST_ALLOWED_HOSTS=\n")

    settings = load_settings()

    assert (settings.operator_keys, settings.allowed_hosts) == (("sk-a", "sk-b"), ())


def test_an_empty_models_file_is_none(folder: Path) -> None:
    (folder / ".env").write_text("HOLDFAST_MODELS=\n")

    assert load_settings().models is None
