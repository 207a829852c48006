"""The embedded Temporal server is started again when it dies, however often."""

from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs
from temporalio.client import Client

from cli.temporal_command import HOST
from cli.temporal_server import TemporalServer, running
from tests.cli.program import command_line, free_ports
from tests.program import until

DEATHS = 5


@pytest.mark.slow
async def test_server_that_dies_again_and_again_is_back_in_seconds(tmp_path: Path) -> None:
    port, ui_port = free_ports(2)
    with capture_logs() as logs:
        async with running(TemporalServer(tmp_path, port, ui_port)):
            for _ in range(DEATHS):
                [first] = _processes(tmp_path)
                first.kill()
                await until(lambda first=first: _serves(tmp_path, port, first), "it is not back")  # type: ignore[misc]

    delays = [entry["restart_in_seconds"] for entry in logs if entry["event"] == "temporal.died"]
    assert len(delays) == DEATHS
    assert max(delays) <= 5


async def _serves(folder: Path, port: int, first: psutil.Process) -> bool:
    if _processes(folder) in ([], [first]):
        return False
    try:
        await Client.connect(f"{HOST}:{port}")
    except RuntimeError:
        return False
    return True


def _processes(folder: Path) -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if str(folder / "temporal.db") in command_line(child)]
