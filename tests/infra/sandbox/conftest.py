"""Sandboxes that the tests of attacks share: one that runs as the tests do, and one of another user than root."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandbox_process import RunningSandbox, can_run_as_nobody, running_sandbox

LIMITS: dict[str, Any] = {"memory_mb": "256", "disk_mb": "32", "files": "300", "processes": "24", "sessions": "8"}
USERS = [
    pytest.param("own user", marks=pytest.mark.xdist_group("sandbox-own")),
    pytest.param("nobody", marks=[pytest.mark.slow, pytest.mark.xdist_group("sandbox-nobody")]),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sandbox_user" in metafunc.fixturenames:
        metafunc.parametrize("sandbox_user", USERS, indirect=True, scope="session")


@pytest.fixture(scope="session")
def sandbox_user(request: pytest.FixtureRequest) -> str:
    """Root, if the tests are, drops the user of each box; `nobody` has none to drop."""
    user: str = request.param
    if user == "nobody" and not can_run_as_nobody():
        pytest.skip("the tests do not run as root, or only root can start their Python")
    return user


@pytest.fixture(scope="session")
async def sandbox(sandbox_user: str) -> AsyncIterator[RunningSandbox]:
    """With small limits and without packages."""
    async with running_sandbox(as_nobody=sandbox_user == "nobody", **LIMITS) as running:
        yield running
