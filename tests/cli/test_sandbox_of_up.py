"""The sandbox that `holdfast up` starts: what it knows, what it outlives, and what it leaves."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.sandbox.errors import SandboxUnavailable
from infra.sandbox.http_sandbox import HttpCodeSandbox
from tests.cli.program import Place, Up, command_line, is_alive, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.any_database, pytest.mark.xdist_group("cli-up")]
SECRET = "sk-a-key-of-a-provider"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not below pytest's own, which the user of the boxes cannot enter.
    with tempfile.TemporaryDirectory(prefix="holdfast-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def up(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    place = Place.new(tmp_path_factory.mktemp("up-sandbox"))
    (folder / "run").mkdir()
    (folder / "run").chmod(0o755)
    program = Up(
        place,
        HOLDFAST_WORKERS="1",
        HOLDFAST_SANDBOX_URL="",
        HOLDFAST_SANDBOX_DIR=str(folder / "run"),
        HOLDFAST_SANDBOX_PACKAGES_DIR=str(folder / "packages"),
        # No index is asked: the installation of the packages fails.
        UV_OFFLINE="1",
        UV_NO_CACHE="1",
        ANTHROPIC_API_KEY=SECRET,
    )
    try:
        yield program.ready()
    finally:
        program.end()


def sandbox_of(up: Up) -> psutil.Process:
    [process] = up.sandboxes()
    return process


def url_of(process: psutil.Process) -> str:
    return process.environ()["HOLDFAST_SANDBOX_LISTEN"]


async def is_isolated(url: str) -> bool:
    client = HttpCodeSandbox(url, "")
    try:
        return (await client.health()).isolation is not None
    finally:
        await client.close_connections()


def test_sandbox_knows_its_settings_and_nothing_else(up: Up) -> None:
    environment = sandbox_of(up).environ()

    assert SECRET not in environment.values()
    others = {name for name in environment if not name.startswith(("HOLDFAST_SANDBOX_", "HOLDFAST_LOG_"))}
    # Python itself sets the second, where there is no locale.
    assert others <= {"PYTHONPATH", "LC_CTYPE"}


def test_api_and_workers_know_where_it_is(up: Up) -> None:
    url = url_of(sandbox_of(up))
    api = up.api()

    assert asyncio.run(is_isolated(url))
    assert api is not None
    assert {each.environ()["HOLDFAST_SANDBOX_URL"] for each in (api, *up.workers())} == {url}


def test_packages_are_installed_beside_what_serves(up: Up, folder: Path) -> None:
    wait_until(lambda: f"Installing the packages of the code interpreter into {folder}/packages" in up.output)
    wait_until(lambda: "The packages of the code interpreter cannot be installed" in up.output)
    wait_until(lambda: '"sandbox.packages_failed"' in up.output)

    assert up.is_healthy()


def test_killed_sandbox_is_started_again_at_the_same_place(up: Up) -> None:
    killed = sandbox_of(up)
    url = url_of(killed)

    killed.kill()

    wait_until(lambda: any(each.pid != killed.pid for each in up.sandboxes()))
    wait_until(lambda: _answers(url))


def _answers(url: str) -> bool:
    try:
        return asyncio.run(is_isolated(url))
    except SandboxUnavailable:
        return False


def test_nothing_of_it_outlives_a_killed_up(up: Up, folder: Path) -> None:
    sandbox, events = sandbox_of(up), up.event_stream()
    assert events is not None
    sockets = [Path(url_of(sandbox).removeprefix("unix://")), Path(_after(events, "--unixsocket"))]
    assert all(socket.exists() for socket in sockets)

    up.process.kill()
    up.process.wait()

    wait_until(lambda: not is_alive(sandbox))
    wait_until(lambda: not any(socket.parent.exists() for socket in sockets))
    wait_until(lambda: not [*(folder / "run").iterdir()])
    assert not [
        each.pid for each in psutil.process_iter() if any(str(folder / "run") in part for part in command_line(each))
    ]


def _after(process: psutil.Process, option: str) -> str:
    line = command_line(process)
    return line[line.index(option) + 1]
