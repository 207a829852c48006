"""One call of a server tool: run once, and given up in each way that an activity can end."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.tool_calls import BROKEN, MAX_FAULTS, ToolCalls
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.event_stream.in_process import InProcessEventStream
from infra.metrics import Metrics
from infra.object_store.errors import ObjectStoreUnavailable
from infra.ports import ToolScope
from infra.tools.errors import ToolFailed, ToolNotReady, ToolUnavailable
from infra.tools.observation import ToolObserver
from infra.vector_index.errors import VectorIndexUnavailable
from models.runs import LastErrorCode, RunStatus
from models.tool_calls import ServerResult, ToolCall, ToolFailure, ToolKind
from models.turns import RunState
from tests.database import new_sqlite_database
from tests.infra.database.server_calls import HITS, CalledTools

pytestmark = pytest.mark.any_database


class Tool:
    """Counts its calls. It fails as given, or waits for `may_end`."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()
        self._failure = failure

    async def run(self, call: ToolCall, scope: ToolScope) -> ServerResult:
        self.calls.append(call.id)
        self.waited = scope.waited
        self.has_begun.set()
        if self._failure is not None:
            raise self._failure
        await self.may_end.wait()
        return HITS


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = new_sqlite_database(tmp_path)
    return Database(create_engine(url, Limits()))


@pytest.fixture
def called(database: Database) -> CalledTools:
    """A run whose first turn made one call of a server tool."""
    return CalledTools.of(database, "file_search")


def executing(
    called: CalledTools,
    tool: Tool,
    environment: ActivityEnvironment | None = None,
    position: int = 0,
    metrics: Metrics | None = None,
) -> asyncio.Task[RunState]:
    stream = InProcessEventStream(timedelta(minutes=1))
    calls = ToolCalls(called.database, stream, {ToolKind.FILE_SEARCH: tool}, ToolObserver(metrics or Metrics()))
    environment = environment or ActivityEnvironment()
    return asyncio.create_task(environment.run(calls.execute, called.input(position)))


async def test_call_with_a_result_is_not_run_again(called: CalledTools) -> None:
    tool = Tool()
    tool.may_end.set()

    first = await executing(called, tool)
    second = await executing(called, tool)

    assert (first.status, first.turn) == (second.status, second.turn) == (RunStatus.IN_PROGRESS, 1)
    assert tool.calls == [called.calls[0].id]
    assert called.calls[0].result == HITS


@pytest.mark.parametrize(
    ("details", "error"),
    [
        (ActivityCancellationDetails(worker_shutdown=True), "WorkerStopped"),
        (ActivityCancellationDetails(not_found=True), "CallSuperseded"),
        (ActivityCancellationDetails(timed_out=True), "CallSuperseded"),
    ],
)
async def test_call_is_left_to_another_attempt(
    called: CalledTools, details: ActivityCancellationDetails, error: str
) -> None:
    tool, environment = Tool(), ActivityEnvironment()
    executed = executing(called, tool, environment)
    await tool.has_begun.wait()

    environment.cancel(details)

    with pytest.raises(ApplicationError) as raised:
        await executed
    assert (raised.value.type, raised.value.non_retryable) == (error, False)
    assert called.calls[0].result is None


async def test_cancelled_call_ends_at_once(called: CalledTools) -> None:
    tool, environment = Tool(), ActivityEnvironment()
    executed = executing(called, tool, environment)
    await tool.has_begun.wait()

    environment.cancel(ActivityCancellationDetails(cancel_requested=True))

    with pytest.raises(asyncio.CancelledError):
        await executed
    assert called.calls[0].result is None


async def test_outage_is_left_to_temporal(called: CalledTools) -> None:
    outage = ToolUnavailable("The search does not answer.", timedelta(seconds=7))

    with pytest.raises(ApplicationError) as raised:
        await executing(called, Tool(outage))

    assert (raised.value.type, raised.value.non_retryable) == ("ToolUnavailable", False)
    assert raised.value.details == (LastErrorCode.SERVER_ERROR,)
    assert raised.value.next_retry_delay == timedelta(seconds=7)
    assert called.calls[0].result is None


async def test_fault_of_a_tool_is_tried_again_and_then_told_to_the_model(called: CalledTools) -> None:
    tool, faults = Tool(ZeroDivisionError()), list[int]()
    for _ in range(MAX_FAULTS - 1):
        with pytest.raises(ZeroDivisionError):
            await executing(called, tool, after(faults))
    assert called.calls[0].result is None

    state = await executing(called, tool, after(faults))

    assert (state.status, state.turn) == (RunStatus.IN_PROGRESS, 1)
    assert called.calls[0].result == ToolFailure(BROKEN)


def after(faults: list[int]) -> ActivityEnvironment:
    """A late attempt, with the last of the heartbeat details. Adds its own."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=100, heartbeat_details=faults[-1:])
    environment.on_heartbeat = faults.append
    return environment


async def test_call_that_is_not_ready_is_tried_again_later(called: CalledTools) -> None:
    tool, environment = Tool(ToolNotReady("Not yet.", timedelta(seconds=7))), ActivityEnvironment()
    info, waited, metrics = environment.info, timedelta(seconds=30), Metrics()
    environment.info = replace(info, current_attempt_scheduled_time=info.scheduled_time + waited)

    with pytest.raises(ApplicationError) as raised:
        await executing(called, tool, environment, metrics=metrics)

    assert (raised.value.type, raised.value.non_retryable) == ("ToolNotReady", False)
    assert raised.value.details == ()
    assert raised.value.next_retry_delay == timedelta(seconds=7)
    assert tool.waited == waited
    counted = {"tool": "file_search", "outcome": "postponed"}
    assert metrics.registry.get_sample_value("holdfast_tool_call_seconds_count", counted) == 1
    assert called.calls[0].result is None


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (ToolFailed("No."), "failed"),
        (ZeroDivisionError(), "failed"),
        (ToolUnavailable("The search does not answer."), "unavailable"),
        (DatabaseUnavailable("No connection."), "unavailable"),
        (ObjectStoreUnavailable("No connection."), "unavailable"),
        (VectorIndexUnavailable("No connection."), "unavailable"),
    ],
)
async def test_attempt_is_counted_by_how_it_ends(called: CalledTools, failure: Exception, outcome: str) -> None:
    metrics = Metrics()

    await asyncio.gather(executing(called, Tool(failure), metrics=metrics), return_exceptions=True)

    counted = {"tool": "file_search", "outcome": outcome}
    assert metrics.registry.get_sample_value("holdfast_tool_call_seconds_count", counted) == 1


async def test_cancelled_attempt_is_counted_as_cut_short(called: CalledTools) -> None:
    tool, environment, metrics = Tool(), ActivityEnvironment(), Metrics()
    executed = executing(called, tool, environment, metrics=metrics)
    await tool.has_begun.wait()

    environment.cancel(ActivityCancellationDetails(cancel_requested=True))
    await asyncio.gather(executed, return_exceptions=True)

    counted = {"tool": "file_search", "outcome": "cut_short"}
    assert metrics.registry.get_sample_value("holdfast_tool_call_seconds_count", counted) == 1


async def test_outage_of_the_database_is_never_told_to_the_model(called: CalledTools) -> None:
    tool = Tool(DatabaseUnavailable("No connection."))

    with pytest.raises(DatabaseUnavailable):
        await executing(called, tool, after([MAX_FAULTS - 1]))

    assert called.calls[0].result is None
