"""Orders of events in a run that real activities rarely produce. The activities are stubs."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.finalization import Finalization
from models.runs import LastErrorCode, RunStatus
from models.tool_calls import ToolKind
from models.turns import (
    SUBMIT_SIGNAL,
    NextStep,
    RunInput,
    RunState,
    ServerCall,
    ToolCallInput,
    TurnInput,
    TurnOutcome,
)
from tests.sandbox import SANDBOXED
from workflows.activity_options import control_task_queue
from workflows.run_workflow import RunWorkflow

ASKED = TurnOutcome(NextStep.AWAIT_TOOL_OUTPUTS, RunStatus.REQUIRES_ACTION, None)
COMPLETED = TurnOutcome(NextStep.FINISH, RunStatus.COMPLETED, None)


async def _run(
    environment: WorkflowEnvironment,
    generate: Callable[[TurnInput], Awaitable[TurnOutcome]],
    lifetime_seconds: int = 600,
    execute: Callable[[ToolCallInput], Awaitable[RunState]] | None = None,
) -> tuple[RunStatus, list[Finalization]]:
    """Run a workflow whose turns are `generate`. Returns its result and the finalization that it requested.

    The result is `failed` if the workflow raises.
    """
    finalizations: list[Finalization] = []

    @activity.defn(name="ModelTurn.generate")
    async def answer(turn: TurnInput) -> TurnOutcome:
        return await generate(turn)

    @activity.defn(name="ToolCalls.execute")
    async def run_tool(call: ToolCallInput) -> RunState:
        assert execute is not None
        return await execute(call)

    @activity.defn(name="RunEndings.end")
    async def finalize(finalization: Finalization) -> RunState:
        finalizations.append(finalization)
        return RunState(finalization.status, 0, None)

    task_queue = run_id = f"run_{uuid.uuid4().hex}"
    expires_at = int(time.time()) + lifetime_seconds
    run = RunInput(run_id, "thread_t", "asst_a", "some-model", expires_at, lifetime_seconds)
    async with (
        Worker(environment.client, task_queue=control_task_queue(task_queue), activities=[finalize]),
        Worker(
            environment.client,
            task_queue=task_queue,
            workflows=[RunWorkflow],
            activities=[answer, run_tool],
            workflow_runner=SANDBOXED,
        ),
    ):
        try:
            status = await environment.client.execute_workflow(RunWorkflow.run, run, id=run_id, task_queue=task_queue)
        except WorkflowFailureError:
            status = RunStatus.FAILED
    return status, finalizations


async def test_signal_that_arrives_before_wait_is_not_lost(temporal: WorkflowEnvironment) -> None:
    turns: list[int] = []

    async def generate(turn: TurnInput) -> TurnOutcome:
        turns.append(turn.turn)
        if turn.turn == 0:
            # The client saw the committed row and submitted before the workflow received the turn's result.
            await temporal.client.get_workflow_handle(turn.run_id).signal(SUBMIT_SIGNAL, 0)
            return ASKED
        return COMPLETED

    status, finalizations = await _run(temporal, generate)

    assert (status, turns, finalizations) == (RunStatus.COMPLETED, [0, 1], [])


async def test_signal_for_earlier_turn_is_ignored(temporal: WorkflowEnvironment) -> None:
    turns: list[int] = []

    async def generate(turn: TurnInput) -> TurnOutcome:
        turns.append(turn.turn)
        handle = temporal.client.get_workflow_handle(turn.run_id)
        for _ in range(3):
            await handle.signal(SUBMIT_SIGNAL, 0)
        return ASKED

    status, [finalization] = await _run(temporal, generate, lifetime_seconds=2)

    assert (status, turns, finalization.status) == (RunStatus.EXPIRED, [0, 1], RunStatus.EXPIRED)


async def test_outputs_are_awaited_for_ten_minutes(time_skipping: WorkflowEnvironment) -> None:
    async def generate(turn: TurnInput) -> TurnOutcome:
        return ASKED

    status, [finalization] = await _run(time_skipping, generate, lifetime_seconds=600)

    assert (status, finalization.status) == (RunStatus.EXPIRED, RunStatus.EXPIRED)


async def test_later_deadline_in_turn_outcome_extends_wait(
    time_skipping: WorkflowEnvironment,
) -> None:
    """A run that failed and was reset has a new deadline in the database and the old one in its history."""
    deadline = int(time.time()) + 7200
    run_ids: list[str] = []

    async def generate(turn: TurnInput) -> TurnOutcome:
        run_ids.append(turn.run_id)
        return TurnOutcome(NextStep.AWAIT_TOOL_OUTPUTS, RunStatus.REQUIRES_ACTION, deadline)

    status, _ = await _run(time_skipping, generate, lifetime_seconds=600)

    handle = time_skipping.client.get_workflow_handle(run_ids[0])
    assert status is RunStatus.EXPIRED
    assert (await time_skipping.get_current_time(handle)).timestamp() >= deadline


async def test_error_without_code_fails_run_without_its_text(temporal: WorkflowEnvironment) -> None:
    async def generate(turn: TurnInput) -> TurnOutcome:
        raise ApplicationError("a bug", non_retryable=True)

    status, [finalization] = await _run(temporal, generate)

    assert (status, finalization.status) == (RunStatus.FAILED, RunStatus.FAILED)
    assert (finalization.error_code, finalization.error_message) == (LastErrorCode.SERVER_ERROR, None)


@pytest.mark.slow
async def test_turn_lost_at_deadline_after_failures_fails_run_with_last_one(temporal: WorkflowEnvironment) -> None:
    async def generate(turn: TurnInput) -> TurnOutcome:
        activity.heartbeat("rate_limit_exceeded", "Slow down.", 0)
        await asyncio.Event().wait()
        raise AssertionError

    status, [finalization] = await _run(temporal, generate, lifetime_seconds=1)

    assert (status, finalization.status) == (RunStatus.FAILED, RunStatus.FAILED)
    assert (finalization.error_code, finalization.error_message) == (LastErrorCode.RATE_LIMIT_EXCEEDED, "Slow down.")


SEARCHING = TurnOutcome(NextStep.RUN_TOOLS, RunStatus.IN_PROGRESS, None, (ServerCall("search", ToolKind.FILE_SEARCH),))
AT_ONCE = timedelta(milliseconds=1)
UNREACHABLE = ApplicationError("No connection.", "server_error", type="ToolUnavailable", next_retry_delay=AT_ONCE)
PREPARING = ApplicationError("Not yet.", type="ToolNotReady", next_retry_delay=AT_ONCE)
LATER = timedelta(minutes=1)


@pytest.mark.parametrize("then", ["retried later", "silent"])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [(UNREACHABLE, RunStatus.FAILED, LastErrorCode.SERVER_ERROR), (PREPARING, RunStatus.EXPIRED, None)],
    ids=["outage", "preparation"],
)
async def test_run_whose_tool_failed_until_the_deadline_is_failed_and_one_that_waited_expired(
    temporal: WorkflowEnvironment,
    failure: ApplicationError,
    status: RunStatus,
    code: LastErrorCode | None,
    then: str,
) -> None:
    failures = [failure]

    async def generate(turn: TurnInput) -> TurnOutcome:
        return SEARCHING

    async def execute(call: ToolCallInput) -> RunState:
        if then == "retried later":
            raise ApplicationError(failure.message, *failure.details, type=failure.type, next_retry_delay=LATER)
        if failures:
            raise failures.pop()
        await asyncio.Event().wait()
        raise AssertionError

    # Time enough for the first attempt on a busy machine; an attempt that is to be repeated later ends the run at once.
    lifetime_seconds = 20 if then == "retried later" else 5
    ended, [finalization] = await _run(temporal, generate, lifetime_seconds=lifetime_seconds, execute=execute)

    assert (ended, finalization.status) == (status, status)
    assert finalization.error_code == code
    assert finalization.error_message == (failure.message if code else None)


async def test_manually_failed_turn_fails_run_without_its_text(temporal: WorkflowEnvironment) -> None:
    async def generate(turn: TurnInput) -> TurnOutcome:
        raise ApplicationError("the model is down", {"since": "yesterday"}, non_retryable=True)

    status, [finalization] = await _run(temporal, generate)

    assert (status, finalization.status) == (RunStatus.FAILED, RunStatus.FAILED)
    assert (finalization.error_code, finalization.error_message) == (LastErrorCode.SERVER_ERROR, None)


async def test_turn_of_cancelling_run_cancels_run(temporal: WorkflowEnvironment) -> None:
    async def generate(turn: TurnInput) -> TurnOutcome:
        return TurnOutcome(NextStep.FINISH, RunStatus.CANCELLING, None)

    status, [finalization] = await _run(temporal, generate)

    assert (status, finalization.status) == (RunStatus.CANCELLED, RunStatus.CANCELLED)


async def test_code_of_one_answer_runs_in_its_order_beside_other_tools(temporal: WorkflowEnvironment) -> None:
    code, search = ToolKind.CODE_INTERPRETER, ToolKind.FILE_SEARCH
    calls = (ServerCall("code_1", code), ServerCall("search", search), ServerCall("code_2", code))
    begun = {call.id: asyncio.Event() for call in calls}
    seen: list[str] = []

    async def generate(turn: TurnInput) -> TurnOutcome:
        return COMPLETED if turn.turn else TurnOutcome(NextStep.RUN_TOOLS, RunStatus.IN_PROGRESS, None, calls)

    async def execute(call: ToolCallInput) -> RunState:
        begun[call.call_id].set()
        if call.call_id == "code_1":
            await begun["search"].wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(begun["code_2"].wait(), 0.5)
        seen.append(call.call_id)
        return RunState(RunStatus.IN_PROGRESS, 1, None)

    status, _ = await _run(temporal, generate, execute=execute)

    assert status is RunStatus.COMPLETED
    assert seen == ["search", "code_1", "code_2"]
