"""The `holdfast` program and its operators' commands start without the libraries of servers."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ROOT, Place, free_ports

pytestmark = pytest.mark.slow

# Each takes a third of the time that a command may take, or more. Pydantic does as well, but typer needs it.
SLOW_TO_IMPORT = (
    "alembic anyio fastapi google httpx litellm models numpy opentelemetry pydantic_settings sqlalchemy starlette "
    "structlog temporalio uvicorn"
)
PROGRAM = f"""
import sys
from cli.main import main
try:
    main()
finally:
    print("IMPORTED", *sorted({{name.partition(".")[0] for name in sys.modules}} & set({SLOW_TO_IMPORT!r}.split())))
"""


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "runs list --help",
        "files list --help",
        "runs list",
        "runs retry --failed --json",
        "files show vs_a/file-b",
    ],
)
def test_a_command_imports_nothing_that_is_slow(tmp_path: Path, command: str) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    environment = Place.new(tmp_path).environment(HOLDFAST_URL=url, PYTHONPATH=str(ROOT))

    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout.splitlines()[-1].split() == ["IMPORTED"]
    assert "Traceback" not in ended.stderr
    # It came as far as it could.
    assert ("Usage:" in ended.stdout) or (f"Holdfast at {url} does not answer" in ended.stderr)
