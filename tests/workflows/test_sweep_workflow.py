"""A sweep goes on where the last one that succeeded stopped looking; the activities here are the test's own."""

import asyncio
import time
import uuid
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.command_reconciler import SweepReport
from tests.sandbox import SANDBOXED
from workflows.activity_options import control_task_queue
from workflows.sweep_schedule import ensure_sweep_schedule, sweep_id
from workflows.sweep_workflow import FIRST_LOOK_BACK, LIST_DELAY, SweepWorkflow


async def _looks(environment: WorkflowEnvironment, *succeeds: bool) -> list[int]:
    """Sweep once for each, by the schedule. Returns from when on each looked at Temporal's list."""
    return (await _sweeps(environment, *succeeds))[0]


async def _sweeps(environment: WorkflowEnvironment, *succeeds: bool) -> tuple[list[int], list[int]]:
    """As `_looks`, and from where on each looked at overdue runs: each sweep gets one further."""
    looks: list[int] = []
    overdue: list[int] = []

    @activity.defn(name="LostCommands.repeat")
    async def repeat(overdue_from: int) -> SweepReport:
        overdue.append(overdue_from)
        return SweepReport(overdue_from=overdue_from + 1)

    @activity.defn(name="LostWorkflows.close_runs")
    async def close_runs(since: int) -> int:
        looks.append(since)
        if not succeeds[len(looks) - 1]:
            raise ApplicationError("Temporal's list is out of order.", non_retryable=True)
        return 0

    task_queue = f"sweep-{uuid.uuid4().hex}"
    client = environment.client
    async with (
        Worker(client, task_queue=control_task_queue(task_queue), activities=[repeat, close_runs]),
        Worker(
            client,
            task_queue=task_queue,
            workflows=[SweepWorkflow],
            workflow_runner=SANDBOXED,
        ),
    ):
        await ensure_sweep_schedule(client, task_queue, timedelta(days=1))
        schedule = client.get_schedule_handle(sweep_id(task_queue))
        async with asyncio.timeout(20):
            for sweep in range(len(succeeds)):
                await schedule.trigger()
                while len(looks) <= sweep or (await schedule.describe()).info.running_actions:
                    await asyncio.sleep(0.05)
        await schedule.delete()
    return looks, overdue


async def test_a_sweep_goes_on_with_overdue_runs_where_the_last_one_stopped(temporal: WorkflowEnvironment) -> None:
    _, overdue = await _sweeps(temporal, True, True, False, True)

    assert overdue == [0, 1, 2, 2]


async def test_a_sweep_looks_from_where_the_last_one_stopped(temporal: WorkflowEnvironment) -> None:
    began = time.time()

    first, second = await _looks(temporal, True, True)

    assert first == pytest.approx(began - FIRST_LOOK_BACK.total_seconds(), abs=15)
    assert second == pytest.approx(began - LIST_DELAY.total_seconds(), abs=15)


async def test_a_sweep_looks_again_at_what_a_failed_one_left(temporal: WorkflowEnvironment) -> None:
    began = time.time()

    _, second = await _looks(temporal, False, True)

    assert second == pytest.approx(began - FIRST_LOOK_BACK.total_seconds(), abs=15)


async def test_a_failed_sweep_does_not_forget_where_the_one_before_it_stopped(temporal: WorkflowEnvironment) -> None:
    _, second, third = await _looks(temporal, True, False, True)

    assert third == second
