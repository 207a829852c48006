"""Sweeps on request of a test, and what they find."""

import asyncio

from openai.types.beta.threads import Run
from temporalio.api.sdk.v1 import WorkflowMetadata

from tests.holdfast import RunningHoldfast
from workflows.sweep import sweep_id
from workflows.sweep_workflow import SweepWorkflow


async def sweep_now(holdfast: RunningHoldfast) -> None:
    """Start a sweep now, or as soon as the current one has ended."""
    sweep = holdfast.resources.temporal.get_workflow_handle(sweep_id(holdfast.resources.settings.task_queue))
    await sweep.signal(SweepWorkflow.sweep_every)


async def terminate(holdfast: RunningHoldfast, run: Run) -> None:
    """Terminate the run's workflow. Sweeps find it by Temporal's list, which has it a moment later."""
    await holdfast.resources.temporal.get_workflow_handle(run.id).terminate()
    await listed_as_terminated(holdfast, run.id)


async def listed_as_terminated(holdfast: RunningHoldfast, workflow_id: str) -> None:
    query = f"WorkflowId = '{workflow_id}' AND ExecutionStatus = 'Terminated'"
    async with asyncio.timeout(20):
        while not [found async for found in holdfast.resources.temporal.list_workflows(query)]:
            await asyncio.sleep(0.02)


async def last_round(holdfast: RunningHoldfast) -> str:
    """What the Temporal UI shows of the last sweep; empty before the end of the first."""
    sweep = holdfast.resources.temporal.get_workflow_handle(sweep_id(holdfast.resources.settings.task_queue))
    metadata = await sweep.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)
