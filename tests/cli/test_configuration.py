"""Settings from `.env`, which contains the keys of model providers as well."""

import os
import re
from pathlib import Path

import pytest

from cli.configuration import load_settings
from infra.settings import Settings
from tests.cli.program import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()
COMPOSE_FILE = (ROOT / "docker-compose.yml").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment that is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in [*os.environ]:
        if name.startswith("HOLDFAST_") or name.endswith("_API_KEY"):
            del os.environ[name]
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


def test_the_example_shows_the_defaults(folder: Path) -> None:
    defaults = Settings(_env_file=None)
    (folder / ".env").write_text(re.sub(r"^#(?=[A-Z_]+=)", "", EXAMPLE, flags=re.MULTILINE))

    assert load_settings() == defaults


def test_the_example_sets_nothing_and_names_what_there_is() -> None:
    names = re.findall(r"^#(HOLDFAST_[A-Z_]+)=", EXAMPLE, re.MULTILINE)
    settings = {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}

    assert all(line.startswith("#") for line in EXAMPLE.splitlines() if line)
    assert set(names) <= settings | set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_FILE))
    assert len(names) == len(set(names))
