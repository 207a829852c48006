"""The suite: a crowd of runs with injected faults; then every run is compared with its expected result."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.crowd import begin_crowd
from tests.chaos.field import Field, Strike
from tests.chaos.report import Report
from tests.chaos.setups import Setup
from tests.chaos.stored import open_stored
from tests.chaos.strikes import losses
from tests.chaos.verdict import judge
from tests.provider.scripted_provider import ScriptedProvider


@dataclass(frozen=True)
class Extent:
    """How much is done: runs in the crowd, over how long they begin, which strikes, and how often each part is lost.

    Where parts are lost the order is random, otherwise that of the strikes.
    """

    runs: int
    begin_within: float
    strikes: Sequence[Strike]
    loss_rounds: int
    patience_seconds: float
    longest_pause: float


async def carry_out(setup: Setup, provider: ScriptedProvider, extent: Extent, seed: int) -> Report:
    async with open_stored(setup.database_url) as stored:
        field = Field(setup, stored, provider, seed)
        try:
            await field.prepare()
            begin_crowd(field, extent.runs, extent.begin_within)
            await _strike(field, extent)
            await asyncio.wait(field.living, timeout=extent.patience_seconds)
            return await judge(field)
        finally:
            for task in field.living:
                task.cancel()
            await field.client.close()


async def _strike(field: Field, extent: Extent) -> None:
    strikes = [*extent.strikes, *losses(field) * extent.loss_rounds]
    if extent.loss_rounds:
        field.random.shuffle(strikes)
    for strike in strikes:
        await asyncio.sleep(field.random.uniform(0, extent.longest_pause))
        try:
            await strike(field)
        except (AssertionError, TimeoutError) as error:
            field.missed.append(f"{getattr(strike, '__name__', strike)} failed: {error!r}")
            field.let_go()
            await field.setup.restore()
