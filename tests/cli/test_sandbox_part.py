"""The installation of the code interpreter's packages beside `holdfast up`."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cli import sandbox_part
from cli.parts import Part


@pytest.mark.parametrize(
    ("first_end", "logged"),
    [("sys.exit(1)", ["sandbox.packages_failed"]), ("os.kill(os.getpid(), signal.SIGTERM)", [])],
)
async def test_an_installation_is_repeated_and_reported_unless_all_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_end: str, logged: list[str]
) -> None:
    monkeypatch.setattr(sandbox_part, "RETRY_INTERVAL", timedelta(milliseconds=1))
    program = f"""
import os, pathlib, signal, sys
starts = pathlib.Path({str(tmp_path / "starts")!r})
starts.open("a").write("x")
if starts.read_text() == "x":
    {first_end}
"""

    with capture_logs() as logs:
        await sandbox_part.install(Part("packages", [sys.executable, "-c", program], os.environ))

    assert [entry["event"] for entry in logs] == logged
    assert (tmp_path / "starts").read_text() == "xx"
