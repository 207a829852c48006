"""Sweeps on request of a test."""

from temporalio.api.sdk.v1 import WorkflowMetadata

from tests.holdfast import RunningHoldfast
from workflows.sweep import sweep_id
from workflows.sweep_workflow import SweepWorkflow


async def sweep_now(holdfast: RunningHoldfast) -> None:
    """Start a sweep now, or as soon as the current one has ended."""
    sweep = holdfast.resources.temporal.get_workflow_handle(sweep_id(holdfast.resources.settings.task_queue))
    await sweep.signal(SweepWorkflow.sweep_every)


async def last_round(holdfast: RunningHoldfast) -> str:
    """What the Temporal UI shows of the last sweep; empty before the end of the first."""
    sweep = holdfast.resources.temporal.get_workflow_handle(sweep_id(holdfast.resources.settings.task_queue))
    metadata = await sweep.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)
