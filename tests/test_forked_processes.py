"""The processes of pytest-xdist are forks: they collect once, and report as processes that collected do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ROOT

pytestmark = pytest.mark.slow

SUITE = """
import os
from pathlib import Path

import pytest

with Path(__file__).with_name("collections").open("a") as collections:
    collections.write("once ")

@pytest.mark.parametrize("number", range(6))
def test_output(number: int) -> None:
    os.system(f"echo printed by {number}.")
    assert [number] == [7]

def test_crash() -> None:
    os._exit(1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "pytest.ini").touch()
    (folder / "test_suite.py").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    options = ("-n", "2", "-p", "no:schemathesis", "-p", "tests.forked_processes", "--rootdir", str(folder))
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False).stdout


def test_tests_are_collected_once(report: str, folder: Path) -> None:
    assert "7 failed" in report
    assert (folder / "collections").read_text() == "once "


def test_failure_has_its_own_output_and_explanation(report: str) -> None:
    failures = report.split("test_output[")[1:7]

    for number in range(6):
        [failure] = [text for text in failures if text.startswith(f"{number}]")]
        assert f"assert [{number}] == [7]" in failure
        assert [line for line in failure.splitlines() if line.startswith("printed by")] == [f"printed by {number}."]


def test_crashed_process_is_replaced(report: str) -> None:
    assert "crashed while running 'test_suite.py::test_crash'" in report
