"""`make chaos`: hundreds of runs while everything is killed. ARGS="--seed 7 --runs 300 --setup sqlite" chooses.

Prints a table of faults and findings; the exit code is 1 if any promise was broken.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.report import Report
from tests.chaos.setups import SETUPS
from tests.chaos.strikes import STRIKES
from tests.chaos.suite import Extent, carry_out
from tests.provider.scripted_provider import running_provider

RUNS = 300
LOSSES = 14


def main() -> int:
    options = _options()
    console = Console()
    is_broken = False
    for name in options.setup or SETUPS:
        console.print(f"{name}: --seed {options.seed} --runs {options.runs}")
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(_carry_out(name, Path(folder), options.seed, options.runs))
        report.show(console)
        is_broken |= bool(report.violations)
    return int(is_broken)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of all random choices")
    parser.add_argument("--runs", type=int, default=RUNS, help="beside those that are brought to a named point")
    parser.add_argument("--setup", choices=SETUPS, action="append", help="only this one")
    return parser.parse_args()


async def _carry_out(name: str, folder: Path, seed: int, runs: int) -> Report:
    with running_provider() as provider:
        async with SETUPS[name](folder, provider) as setup:
            extent = Extent(
                runs=runs,
                begin_within=180,
                strikes=STRIKES * 2,
                # As many faults where there are few parts.
                loss_rounds=max(1, LOSSES // (2 * len(setup.parts))),
                patience_seconds=240,
                longest_pause=6,
            )
            return await carry_out(setup, provider, extent, seed)


if __name__ == "__main__":
    sys.exit(main())
