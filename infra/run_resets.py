"""Resets of a run's workflow: the task to reset to, and the reason of a reset."""

import uuid
from collections.abc import AsyncIterator

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client

from models.turns import MODEL_TURN

PAGE_EVENTS = 100


async def reset_point(client: Client, run_id: str, execution: str) -> int | None:
    """The workflow task that scheduled the newest turn, as the event id that Temporal requires.

    The first task if no turn was scheduled; None if the workflow completed no task.
    """
    first_task = None
    async for event in _newest_first(client, run_id, execution):
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                if scheduled.activity_type.name == MODEL_TURN:
                    return scheduled.workflow_task_completed_event_id
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                first_task = event.event_id
    return first_task


async def reset(client: Client, run_id: str, execution: str, task: int, reason: str) -> None:
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run_id, run_id=execution),
            workflow_task_finish_event_id=task,
            reason=reason,
            request_id=str(uuid.uuid4()),
            # A cancel that was too late for the failed execution does not apply to this one.
            reset_reapply_exclude_types=[ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_CANCEL_REQUEST],
        )
    )


async def reset_reason(client: Client, run_id: str, execution: str) -> str | None:
    """The reason that the user of a reset entered, which is all that Temporal stores about its author."""
    async for event in _newest_first(client, run_id, execution):
        failed = event.workflow_task_failed_event_attributes
        if (
            event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            and failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
            and failed.new_run_id == execution
        ):
            return failed.failure.message
    return None


async def _newest_first(client: Client, run_id: str, execution: str) -> AsyncIterator[HistoryEvent]:
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=run_id, run_id=execution),
        maximum_page_size=PAGE_EVENTS,
    )
    while True:
        page = await client.workflow_service.get_workflow_execution_history_reverse(request)
        for event in page.history.events:
            yield event
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token
