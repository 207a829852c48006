"""Sweeps at a moment of the test's choice."""

import asyncio

from tests.holdfast import RunningHoldfast
from workflows.sweep_schedule import sweep_id


async def sweep_now(holdfast: RunningHoldfast) -> None:
    """Have the schedule sweep now. It leaves out a sweep that would begin beside another."""
    schedule = holdfast.resources.temporal.get_schedule_handle(sweep_id(holdfast.resources.settings.task_queue))
    async with asyncio.timeout(20):
        while (await schedule.describe()).info.running_actions:
            await asyncio.sleep(0.02)
    await schedule.trigger()
