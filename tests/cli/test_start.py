"""The state of a serving program after its start, seen at its end."""

from pathlib import Path

import pytest

from tests.cli.apart import running_apart
from tests.cli.program import Place, Up

pytestmark = pytest.mark.slow

# Python runs a module of this name at every start.
TELLS_AT_ITS_END = """
import atexit, gc
atexit.register(lambda: print("collects:", gc.isenabled(), "never looks at:", gc.get_freeze_count(), flush=True))
"""
AT_LEAST_LOADED = 100_000


def test_objects_of_the_start_are_exempt_from_garbage_collection(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TELLS_AT_ITS_END)
    up = Up(Place.new(tmp_path), PYTHONPATH=str(tmp_path)).ready()
    try:
        with running_apart(tmp_path / "apart", up, PYTHONPATH=str(tmp_path)) as (_, processes):
            outputs = [tmp_path / "apart" / f"{name}.txt" for name in processes]
        up.interrupt()
        up.process.wait()
    finally:
        up.end()
    for output in (up.output, *(path.read_text() for path in outputs)):
        collects, frozen = _told(output)
        assert collects == "True"
        assert frozen > AT_LEAST_LOADED


def _told(output: str) -> tuple[str, int]:
    counts = next(line for line in output.splitlines() if line.startswith("collects:")).split()
    return counts[1], int(counts[-1])
