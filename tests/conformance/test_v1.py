"""Programs of the first beta work as they did, with the last SDK release that spoke it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import tied
from tests.conformance.clients import PythonClient
from tests.conformance.environments import python_environment
from tests.conformance.v1_program import SCENARIOS

LAST_OF_V1 = PythonClient("1.20.0")
ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("conformance"), pytest.mark.timeout(900)]


def test_the_last_release_that_spoke_v1_finds_what_it_expects(url: str) -> None:
    python = python_environment(LAST_OF_V1.name) / "python"
    program = [str(python), "-W", "ignore::DeprecationWarning", "-m", "tests.conformance.v1_program"]

    ended = subprocess.run(
        tied([*program, url, "beta-v1"]), cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )

    assert ended.returncode == 0, ended.stderr[-2000:]
    outcomes = {line["operation"]: line["problem"] for line in map(json.loads, ended.stdout.splitlines())}
    assert outcomes == dict.fromkeys((scenario.__name__ for scenario in SCENARIOS), None)
