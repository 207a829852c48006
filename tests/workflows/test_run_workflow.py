"""The order of a run's steps, where real activities are too well-behaved: the activities here are the test's own."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC

from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from models.runs import RunStatus
from models.turns import SUBMIT_SIGNAL, NextStep, RunEnding, RunInput, Standing, TurnInput, TurnOutcome
from workflows.run_workflow import RunWorkflow
from workflows.worker import SANDBOX

ASKED = TurnOutcome(NextStep.AWAIT_TOOL_OUTPUTS, RunStatus.REQUIRES_ACTION, None)
COMPLETED = TurnOutcome(NextStep.FINISH, RunStatus.COMPLETED, None)


async def _run(
    environment: WorkflowEnvironment,
    generate: Callable[[TurnInput], Awaitable[TurnOutcome]],
    lifetime_seconds: int = 600,
) -> tuple[RunStatus, list[RunEnding]]:
    """Run a workflow whose turns are `generate`. Returns its result and how it asked for the run to be ended."""
    endings: list[RunEnding] = []

    @activity.defn(name="ModelTurn.generate")
    async def answer(turn: TurnInput) -> TurnOutcome:
        return await generate(turn)

    @activity.defn(name="RunEndings.end")
    async def end(ending: RunEnding) -> Standing:
        endings.append(ending)
        return Standing(ending.status, 0, None)

    task_queue = run_id = f"run_{uuid.uuid4().hex}"
    now = await environment.get_current_time()
    expires_at = int(now.replace(tzinfo=UTC).timestamp()) + lifetime_seconds
    run = RunInput(run_id, "thread_t", "asst_a", "some-model", expires_at, lifetime_seconds)
    async with Worker(
        environment.client,
        task_queue=task_queue,
        workflows=[RunWorkflow],
        activities=[answer, end],
        workflow_runner=SandboxedWorkflowRunner(restrictions=SANDBOX),
    ):
        status = await environment.client.execute_workflow(RunWorkflow.run, run, id=run_id, task_queue=task_queue)
    return status, endings


async def test_a_signal_that_arrives_before_the_wait_is_not_lost(temporal: WorkflowEnvironment) -> None:
    turns: list[int] = []

    async def generate(turn: TurnInput) -> TurnOutcome:
        turns.append(turn.turn)
        if turn.turn == 0:
            # The client saw the committed row and answered before the workflow heard of the turn's end.
            await temporal.client.get_workflow_handle(turn.run_id).signal(SUBMIT_SIGNAL, 0)
            return ASKED
        return COMPLETED

    status, endings = await _run(temporal, generate)

    assert (status, turns, endings) == (RunStatus.COMPLETED, [0, 1], [])


async def test_a_signal_for_an_earlier_turn_does_not_answer_this_one(temporal: WorkflowEnvironment) -> None:
    turns: list[int] = []

    async def generate(turn: TurnInput) -> TurnOutcome:
        turns.append(turn.turn)
        handle = temporal.client.get_workflow_handle(turn.run_id)
        for _ in range(3):
            await handle.signal(SUBMIT_SIGNAL, 0)
        return ASKED

    status, [ending] = await _run(temporal, generate, lifetime_seconds=2)

    assert (status, turns, ending.status) == (RunStatus.EXPIRED, [0, 1], RunStatus.EXPIRED)
