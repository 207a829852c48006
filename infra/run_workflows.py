"""The commands to a run's workflow. Every one is idempotent: repeating it, or sending it too late, does nothing."""

import asyncio
import logging
from collections.abc import Awaitable
from datetime import timedelta
from enum import StrEnum

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from infra.temporal import ASSISTANT_ID, MODEL, RUN_STATUS, THREAD_ID
from models.runs import Run, RunStatus
from models.turns import RUN_WORKFLOW, SUBMIT_SIGNAL, RunInput

COMMAND_TIMEOUT = timedelta(seconds=3)

log = logging.getLogger(__name__)


class Delivery(StrEnum):
    """What became of a command. `NO_WORKFLOW`: there is none that could act on it, never was or no longer is."""

    DELIVERED = "delivered"
    NO_WORKFLOW = "no_workflow"
    REFUSED = "refused"


class RunWorkflows:
    """A run's workflow has the run's id, so that commands need no other record of it."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, run: RunInput) -> Delivery:
        """Start the workflow, once: one that ran before under this id is never started again."""
        try:
            await self._client.start_workflow(
                RUN_WORKFLOW,
                run,
                id=run.run_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                request_eager_start=True,
                static_summary=f"{run.assistant_id} on {run.thread_id}",
                search_attributes=_search_attributes(run),
            )
        except WorkflowAlreadyStartedError:
            return Delivery.DELIVERED if await self.is_running(run.run_id) else Delivery.NO_WORKFLOW
        return Delivery.DELIVERED

    async def start_or_leave(self, run: Run | None) -> None:
        """Start a run whose turn has come, if there is one. Where Temporal does not take it, the sweep starts it."""
        if run is not None:
            await leave_to_sweep("start", run.id, self.start(RunInput.of(run)))

    async def submit(self, run_id: str, turn: int) -> Delivery:
        """Tell the workflow that the calls of `turn` have their outputs."""
        return await self._send(self._client.get_workflow_handle(run_id).signal(SUBMIT_SIGNAL, turn))

    async def cancel(self, run_id: str) -> Delivery:
        return await self._send(self._client.get_workflow_handle(run_id).cancel())

    async def is_running(self, run_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(run_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING

    async def _send(self, command: Awaitable[None]) -> Delivery:
        try:
            await command
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return Delivery.NO_WORKFLOW
            raise
        return Delivery.DELIVERED


async def leave_to_sweep(command: str, run_id: str, sending: Awaitable[object]) -> None:
    """Send a command whose row is committed. One that Temporal does not take in time is the sweep's to repeat."""
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            await sending
    except (RPCError, TimeoutError) as error:
        log.warning("run.command_delayed", extra={"command": command, "run_id": run_id, "reason": repr(error)})


def _search_attributes(run: RunInput) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(ASSISTANT_ID, run.assistant_id),
            SearchAttributePair(THREAD_ID, run.thread_id),
            SearchAttributePair(MODEL, run.model),
            SearchAttributePair(RUN_STATUS, RunStatus.QUEUED.value),
        ]
    )
