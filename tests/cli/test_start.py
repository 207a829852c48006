"""The garbage collector's state once a program that serves has started, seen at its end."""

from pathlib import Path

import pytest

from tests.cli.apart import running_apart
from tests.cli.program import Place, Up

pytestmark = pytest.mark.slow

# Python runs a module of this name at every start.
REPORTS_AT_ITS_END = """
import atexit, gc
atexit.register(lambda: print("collects:", gc.isenabled(), "never looks at:", gc.get_freeze_count(), flush=True))
"""
AT_LEAST_LOADED = 100_000


def test_objects_of_the_start_are_exempt_from_garbage_collection(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(REPORTS_AT_ITS_END)
    up = Up(Place.new(tmp_path), HOLDFAST_WORKERS="1", PYTHONPATH=str(tmp_path)).ready()
    try:
        with running_apart(tmp_path / "apart", up, PYTHONPATH=str(tmp_path)) as (_, processes):
            outputs = [tmp_path / "apart" / f"{name}.txt" for name in processes]
        up.interrupt()
        up.process.wait()
    finally:
        up.end()
    for output, programs in ((up.output, 3), *((path.read_text(), 1) for path in outputs)):
        # The API's and the worker's of `holdfast up`, and its own; those that end at once have nothing frozen.
        serving = [(collects, frozen) for collects, frozen in _reports(output) if frozen]
        assert [collects for collects, _ in serving] == ["True"] * programs
        assert max(frozen for _, frozen in serving) > AT_LEAST_LOADED


def _reports(output: str) -> list[tuple[str, int]]:
    reports = [line.split() for line in output.splitlines() if line.startswith("collects:")]
    return [(report[1], int(report[-1])) for report in reports]
