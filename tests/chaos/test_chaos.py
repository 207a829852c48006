"""The short form of `make chaos`: most of the named points, few runs, no random kills."""

import tempfile
from pathlib import Path

import pytest

from tests.chaos.field import Strike
from tests.chaos.setups import SETUPS
from tests.chaos.strikes import (
    lose_answers_to_commits,
    lose_commands,
    lose_commits,
    lose_crawls,
    lose_running_code,
    lose_server_calls,
    lose_the_database,
)
from tests.chaos.suite import Extent, carry_out
from tests.provider.scripted_provider import running_provider

# The restart after each kill takes longest.
STRIKES: dict[str, tuple[Strike, ...]] = {
    "sqlite": (lose_commands, lose_server_calls, lose_commits),
    "postgres": (
        lose_answers_to_commits,
        lose_commands,
        lose_crawls,
        lose_running_code,
        lose_server_calls,
        lose_the_database,
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("chaos")
@pytest.mark.parametrize("name", SETUPS)
async def test_no_run_is_lost_stuck_or_done_twice(name: str) -> None:
    extent = Extent(
        runs=14, begin_within=2, strikes=STRIKES[name], loss_rounds=0, patience_seconds=120, longest_pause=0.5
    )

    # Not pytest's folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory() as folder, running_provider() as provider:
        async with SETUPS[name](Path(folder), provider) as setup:
            report = await carry_out(setup, provider, extent, seed=1)

    assert report.violations == []
    assert len(report.points) >= len(extent.strikes)
    assert report.runs.total() > extent.runs
    assert report.searches["made again, lost before their result was stored"] > 0
