"""Resetting a run's workflow, as the Temporal UI does it."""

import asyncio
from typing import Any

from openai.types.beta.threads import Run
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from tests.holdfast import RunningHoldfast


async def workflow_tasks(holdfast: RunningHoldfast, run: Run) -> list[int]:
    """The event ids that the Temporal UI offers to reset the run's workflow to, once it is closed."""
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    await closed(handle)
    return await finished_tasks(handle)


async def finished_tasks(handle: WorkflowHandle[Any, Any]) -> list[int]:
    """The event ids of the workflow's completed tasks."""
    return [
        event.event_id
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]


async def closed(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
    """Wait until the workflow is closed. Returns its status."""
    async with asyncio.timeout(20):
        while True:
            status = (await handle.describe()).status
            if status is not WorkflowExecutionStatus.RUNNING:
                return status
            await asyncio.sleep(0.02)


async def reset(holdfast: RunningHoldfast, run: Run, event_id: int, reason: str = "test") -> None:
    await reset_workflow(holdfast.resources.temporal, run.id, event_id, reason)


async def reset_workflow(client: Client, workflow_id: str, event_id: int, reason: str = "test") -> None:
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            workflow_task_finish_event_id=event_id,
            request_id=f"reset-{workflow_id}-{event_id}",
            reason=reason,
        )
    )
