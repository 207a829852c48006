"""The lint rules that keep workflow code deterministic report violations."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from grimp import ImportGraph

from tests.lint.allowed_imports import AllowedImportsContract

ROOT = Path(__file__).parents[2]
WORKFLOW = "workflows.new_workflow"


def _contract() -> AllowedImportsContract:
    linter: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [options] = [each for each in linter["contracts"] if each["type"] == "allowed_imports"]
    return AllowedImportsContract(options["name"], linter, options)


def _importing(imported: str, module: str = WORKFLOW) -> ImportGraph:
    graph = ImportGraph()
    for name in ("workflows", module, imported):
        graph.add_module(name)
    graph.add_import(importer=module, imported=imported)
    return graph


def _ruff(code: str, path: str = "workflows/new_workflow.py") -> str:
    command = (sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", path, "-")
    return str(subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False).stdout)


@pytest.mark.parametrize(
    "imported",
    [
        "time",
        "random",
        "os",
        "socket",
        "uuid",
        "threading",
        "infra.clock",
        "sqlalchemy",
        "activities_of_others",
        "workflows.worker",
    ],
)
def test_forbidden_import_is_reported(imported: str) -> None:
    check = _contract().check(_importing(imported), verbose=False)

    assert not check.kept
    assert check.metadata["refused"] == [(WORKFLOW, imported)]


@pytest.mark.parametrize("imported", ["temporalio", "datetime", "models.runs", "activities.model_turn"])
def test_allowed_import_is_accepted(imported: str) -> None:
    assert _contract().check(_importing(imported), verbose=False).kept


def test_worker_module_may_import_anything() -> None:
    assert _contract().check(_importing("infra.resources", module="workflows.worker"), verbose=False).kept


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime\ndatetime.date.today()",
        "import asyncio\nasyncio.to_thread(print)",
        "from asyncio import wait",
    ],
)
def test_forbidden_call_is_reported(code: str) -> None:
    assert "TID251" in _ruff(code)


def test_rules_do_not_apply_outside_workflows() -> None:
    assert "TID251" not in _ruff("from datetime import datetime, UTC\ndatetime.now(UTC)", path="infra/clock.py")
