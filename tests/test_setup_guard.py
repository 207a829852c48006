"""A shared fixture that is set up more often than its parameters explain fails the tests that use it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import setup_guard
from tests.cli.program import ROOT

pytestmark = pytest.mark.slow

CONFTEST = """
import pytest

def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["sqlite", "postgres"], {how}, scope="session")

@pytest.fixture(scope="session")
def server(kind):
    return object()
"""
SUITE = """
import pytest

def test_first(server): ...

@pytest.mark.parametrize("case", [1, 2])
def test_second(server, case): ...
"""
INDIRECT = """
@pytest.fixture(scope="session")
def kind(request):
    return request.param
"""
KIND = """
import pytest

@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def kind(request): ...
"""
RE_SORTED = """
import pytest

@pytest.fixture(scope="module")
def document():
    return object()

def test_first(document, kind): ...
"""


def outcome(folder: Path, conftest: str, *modules: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(conftest)
    for number, module in enumerate(modules):
        (folder / f"test_{number}.py").write_text(module)
    options = ("-p", "no:cacheprovider", "-p", setup_guard.__name__, "-c", os.devnull, "--rootdir", str(folder))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        # Without this suite's plugins, which take seconds to load.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_fixture_set_up_once_per_parameter_passes(tmp_path: Path) -> None:
    ended = outcome(tmp_path, CONFTEST.format(how="indirect=True") + INDIRECT, SUITE)

    assert ended.returncode == pytest.ExitCode.OK, ended.stdout


def test_session_fixture_under_a_direct_parameter_fails(tmp_path: Path) -> None:
    ended = outcome(tmp_path, CONFTEST.format(how="indirect=False"), SUITE)

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "is set up a second time for {'kind': \"'sqlite'\"}" in ended.stdout


def test_module_fixture_of_module_entered_twice_fails(tmp_path: Path) -> None:
    ended = outcome(tmp_path, KIND, RE_SORTED, RE_SORTED)

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "The module fixture 'document' is set up a second time." in ended.stdout
