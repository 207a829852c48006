"""Sandboxes that the tests of attacks share: one that runs as the tests do, and one of another user than root."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.sandbox.bubblewrap import find_interpreter, runs_as_root
from tests.sandbox_process import RunningSandbox, running_sandbox

LIMITS: dict[str, Any] = {"memory_mb": "256", "disk_mb": "32", "files": "300", "processes": "24", "sessions": "8"}
OWN = pytest.param("own user", marks=[pytest.mark.slow, pytest.mark.xdist_group("sandbox-own")])
NOBODY = pytest.param("nobody", marks=[pytest.mark.slow, pytest.mark.xdist_group("sandbox-nobody")])
# Where the tests are not root, their own user is one like any other.
USERS = [OWN, NOBODY] if runs_as_root() else [OWN]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sandbox_user" in metafunc.fixturenames:
        metafunc.parametrize("sandbox_user", USERS, indirect=True, scope="session")


@pytest.fixture(scope="session")
def sandbox_user(request: pytest.FixtureRequest) -> str:
    """Root, if the tests are, drops the user of each box; `nobody` has none to drop."""
    user: str = request.param
    if user == "nobody" and find_interpreter().folder:
        pytest.fail(f"only root can start {sys.base_prefix}: run the tests with a Python under /usr, or not as root")
    return user


@pytest.fixture(scope="session")
async def sandbox(sandbox_user: str) -> AsyncIterator[RunningSandbox]:
    """With small limits and without packages."""
    async with running_sandbox(as_nobody=sandbox_user == "nobody", **LIMITS) as running:
        yield running
