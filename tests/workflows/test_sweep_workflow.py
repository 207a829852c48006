"""The sweep continues after failures of its steps. The activities are stubs."""

import asyncio
import logging
import time
from collections.abc import Sequence

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    StartWorkflowInput,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from infra.background import beside
from tests.workflows.swept_queue import A_DAY, swept_queue, until
from workflows import activity_options, sweep
from workflows.activity_options import SWEEP_FIRST_LOOK_BACK, SWEEP_LIST_DELAY
from workflows.sweep import keep_sweep_running, start_sweep, sweep_id
from workflows.sweep_workflow import SweepWorkflow

TEN_MINUTES = 600


async def test_sweep_begins_where_previous_one_ended(temporal: WorkflowEnvironment) -> None:
    began = time.time()

    async with swept_queue(temporal) as queue:
        await queue.sweep_times(2)

    first, second = queue.looked_from
    assert first == pytest.approx(began - SWEEP_FIRST_LOOK_BACK.total_seconds(), abs=15)
    assert second == pytest.approx(began - SWEEP_LIST_DELAY.total_seconds(), abs=15)


async def test_sweep_repeats_range_of_failed_sweep(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal, closes_fail={1, 3}) as queue:
        await queue.sweep_times(4)

    first, second, third, fourth = queue.looked_from
    assert first == second
    assert third - second == pytest.approx((SWEEP_FIRST_LOOK_BACK - SWEEP_LIST_DELAY).total_seconds(), abs=15)
    assert fourth == third


async def test_failed_repeat_keeps_its_position_and_does_not_affect_other_step(
    temporal: WorkflowEnvironment,
) -> None:
    async with swept_queue(temporal, repeats_fail={2}) as queue:
        await queue.sweep_times(4)

    assert queue.overdue_from == [0, 1, 1, 2]
    assert len(queue.looked_from) == 4


async def test_sweep_reports_last_round_in_current_details(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal, closes_fail={1}) as queue:
        await queue.sweep_times(1)
        await queue.until_waiting()
        metadata = await queue.sweep.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)

    assert metadata.current_details.splitlines()[-4:] == [
        "- lost commands: 0 repeated, 0 runs closed, 0 failed",
        "- lost workflows: failed, Temporal's list is out of order.",
        "- ingestion: 0 started, 0 failed, 0 deleted, 0 stores emptied",
        "- objects: 0 deleted, 0 orphans, 0 lost",
    ]


async def test_scan_of_objects_continues_where_it_ended(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal, objects_fail={2}) as queue:
        await queue.sweep_times(4)

    assert queue.objects_after == [None, "key 1", "key 1", "key 3"]


@pytest.mark.slow
async def test_sweep_repeats_and_continues_as_new_each_hour(time_skipping: WorkflowEnvironment) -> None:
    async with swept_queue(time_skipping) as queue:
        await start_sweep(queue.client, queue.task_queue, TEN_MINUTES)
        await queue.swept(9)

        executions = list(dict.fromkeys(queue.workflow_runs))
        first_hour = queue.workflow_runs.count(executions[0])
        assert first_hour == 6
        assert len(executions) >= 2
        assert queue.overdue_from == list(range(len(queue.overdue_from)))
        apart = [later - earlier for earlier, later in zip(queue.looked_from[1:], queue.looked_from[2:], strict=False)]
        assert apart == [pytest.approx(TEN_MINUTES, abs=5)] * len(apart)


@pytest.mark.slow
async def test_sweep_with_large_history_continues_as_new_early(
    time_skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_options, "SWEEP_EXECUTION_EVENTS", 50)

    async with swept_queue(time_skipping) as queue:
        await start_sweep(queue.client, queue.task_queue, 1)
        await queue.swept(5)

    assert queue.workflow_runs[:5].count(queue.workflow_runs[0]) == 2
    assert queue.overdue_from[:5] == [0, 1, 2, 3, 4]


async def test_starting_worker_sweeps_at_once_and_sets_interval(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal) as queue:
        await start_sweep(queue.client, queue.task_queue, A_DAY)
        await queue.swept(1)

        await start_sweep(queue.client, queue.task_queue, 1)
        await queue.swept(4)

    assert len(set(queue.workflow_runs)) == 1


NONSENSE: Sequence[object] = ("soon", -5, 0, 1.5, True, None, {"every": 1})


async def test_invalid_interval_signal_is_ignored(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal) as queue:
        await start_sweep(queue.client, queue.task_queue, A_DAY)
        await queue.swept(1)
        await queue.until_waiting()

        for number, nonsense in enumerate(NONSENSE, start=2):
            await queue.sweep.signal(SweepWorkflow.sweep_every, nonsense)
            await queue.swept(number)
            await queue.until_waiting()

            assert (await queue.timers())[-1] == A_DAY, nonsense


async def test_terminated_sweep_is_restarted(temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "ENSURE_INTERVAL", sweep.ENSURE_INTERVAL / 600)

    async with (
        swept_queue(temporal) as queue,
        beside(keep_sweep_running(queue.client, queue.task_queue, A_DAY)),
    ):
        await queue.swept(1)
        await queue.sweep.terminate()
        await queue.swept(2)

    assert len(set(queue.workflow_runs)) == 2


async def test_workers_with_different_intervals_do_not_change_running_sweep(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "ENSURE_INTERVAL", sweep.ENSURE_INTERVAL / 600)
    starts = CountedStarts()
    client = _client(temporal, starts)

    async with swept_queue(temporal) as queue:
        await start_sweep(queue.client, queue.task_queue, A_DAY)
        async with beside(keep_sweep_running(client, queue.task_queue, 1)):
            await until(lambda: starts.count >= 3)
        await queue.swept(1)
        await queue.until_waiting()

        assert await queue.timers() == [A_DAY]


async def test_worker_survives_temporary_outage_of_temporal(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweep, "ENSURE_INTERVAL", sweep.ENSURE_INTERVAL / 600)
    client = _client(temporal, CountedStarts(refused=2))

    with caplog.at_level(logging.WARNING, logger=sweep.__name__):
        async with swept_queue(temporal) as queue, beside(keep_sweep_running(client, queue.task_queue, A_DAY)):
            await queue.swept(1)

    assert [record.message for record in caplog.records if record.name == sweep.__name__] == ["sweep.start_delayed"] * 2


async def test_cancelled_sweep_ends(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal) as queue:
        await queue.sweep_times(1)

        await queue.sweep.cancel()

        async with asyncio.timeout(20):
            while (await queue.sweep.describe()).status is WorkflowExecutionStatus.RUNNING:
                await asyncio.sleep(0.02)
        assert (await queue.sweep.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_schedule_of_older_version_is_removed(temporal: WorkflowEnvironment) -> None:
    async with swept_queue(temporal) as queue:
        schedule = Schedule(
            action=ScheduleActionStartWorkflow("SweepWorkflow", id=sweep_id(queue.task_queue), task_queue="none"),
            spec=ScheduleSpec(),
        )
        handle = await queue.client.create_schedule(sweep_id(queue.task_queue), schedule)

        await start_sweep(queue.client, queue.task_queue, A_DAY)
        await start_sweep(queue.client, queue.task_queue, A_DAY)

        with pytest.raises(RPCError) as missing:
            await handle.describe()
        assert missing.value.status is RPCStatusCode.NOT_FOUND


class CountedStarts(Interceptor):
    """Counts starts of workflows, and fails the first ones as an unreachable Temporal does."""

    def __init__(self, refused: int = 0) -> None:
        self.count = 0
        self.refused = refused

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Counted(next, self)


class _Counted(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, starts: CountedStarts) -> None:
        super().__init__(next)
        self._starts = starts

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[object, object]:
        self._starts.count += 1
        if self._starts.count <= self._starts.refused:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return await super().start_workflow(input)


def _client(environment: WorkflowEnvironment, interceptor: Interceptor) -> Client:
    config = environment.client.config()
    config["interceptors"] = [interceptor]
    return Client(**config)
