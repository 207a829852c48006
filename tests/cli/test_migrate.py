"""`holdfast up` declares the workers of its earlier lives gone, as only the holder of the data folder may."""

import sqlite3
from pathlib import Path

import pytest

from cli.up import _migration
from infra.settings import Settings
from tests.cli.program import Place, run_here


@pytest.mark.parametrize(("options", "is_gone"), [(["--no-worker-lives"], 1), ([], 0)])
def test_workers_are_gone_where_the_caller_knows_it(tmp_path: Path, options: list[str], is_gone: int) -> None:
    place = Place.new(tmp_path)
    assert run_here(place, "migrate").returncode == 0
    with sqlite3.connect(place.data_dir / "holdfast.db") as database:
        database.execute("INSERT INTO workers (id, machine, pid, process_started) VALUES ('w', 'elsewhere', 1, 1)")

    done = run_here(place, "migrate", *options)

    assert (done.returncode, done.stderr) == (0, "")
    with sqlite3.connect(place.data_dir / "holdfast.db") as database:
        assert database.execute("SELECT is_gone FROM workers").fetchall() == [(is_gone,)]


@pytest.mark.parametrize(("url", "knows"), [("", True), ("postgresql://db/holdfast", False)])
def test_up_knows_it_of_its_own_database_alone(url: str, knows: bool) -> None:
    command = _migration(Settings(_env_file=None, database_url=url))

    assert ("--no-worker-lives" in command) is knows
