"""The commands to a run's workflow. Every command is idempotent: a repeated or late one has no effect."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta
from enum import StrEnum

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from infra import run_resets
from infra.run_starts.requests import StartRequests
from infra.settings import Settings
from infra.temporal import ASSISTANT_ID, MODEL, RUN_STATUS, THREAD_ID
from models.runs import Run, RunStatus
from models.turns import RUN_WORKFLOW, SUBMIT_SIGNAL, RetryCommand, RunInput

COMMAND_TIMEOUT = timedelta(seconds=3)
PAGE_SIZE = 100

MAX_KEYWORD_LENGTH = 255
"""The limit of a Temporal with Postgres visibility: a workflow with a longer keyword would be in no list."""

log = logging.getLogger(__name__)


class Delivery(StrEnum):
    """The outcome of a command. `NO_WORKFLOW`: the workflow never existed or has ended."""

    DELIVERED = "delivered"
    NO_WORKFLOW = "no_workflow"
    REFUSED = "refused"


class RunWorkflows:
    """A run's workflow has the run's id, so commands need no other record of it."""

    def __init__(self, client: Client, settings: Settings, requests: StartRequests | None = None) -> None:
        """With `requests`, a worker that takes them starts the workflows of new runs."""
        self._client = client
        self._requests = requests
        self._task_queue = settings.task_queue
        # An eager start goes to this process's worker, even if it is not of the current version.
        self._starts_eagerly = not settings.build_id

    async def start(self, run: RunInput) -> Delivery:
        """Start the workflow once: a workflow that has ended is never started again under its id."""
        if self._requests and await self._requests.start(run):
            return Delivery.DELIVERED
        return await self._start(run, WorkflowIDReusePolicy.REJECT_DUPLICATE)

    async def _start(self, run: RunInput, reuse: WorkflowIDReusePolicy) -> Delivery:
        try:
            await self._client.start_workflow(
                RUN_WORKFLOW,
                run,
                id=run.run_id,
                task_queue=self._task_queue,
                id_reuse_policy=reuse,
                request_eager_start=self._starts_eagerly,
                static_summary=f"{run.assistant_id} on {run.thread_id}",
                search_attributes=_search_attributes(run),
            )
        except WorkflowAlreadyStartedError:
            return Delivery.DELIVERED if await self.is_running(run.run_id) else Delivery.NO_WORKFLOW
        return Delivery.DELIVERED

    async def start_or_leave(self, run: Run | None) -> None:
        """Start an admitted run, if there is one. If Temporal does not accept the command, the sweep repeats it."""
        if run is not None:
            await leave_to_sweep("start", run.id, self.start(RunInput.of(run)))

    async def submit(self, run_id: str, turn: int) -> Delivery:
        """Signal the workflow that the calls of `turn` have their outputs."""
        return await self._send(self._client.get_workflow_handle(run_id).signal(SUBMIT_SIGNAL, turn))

    async def cancel(self, run_id: str) -> Delivery:
        return await self._send(self._client.get_workflow_handle(run_id).cancel())

    async def retry(self, retry: RetryCommand) -> Delivery:
        """Continue a failed run with its failed turn, in a new execution of its workflow.

        This is a reset, as in the Temporal UI, so that the history has the earlier events. If Temporal has nothing to
        reset, the workflow is started anew and finds the committed turns.
        """
        run_id = retry.run.run_id
        current = await self._describe(run_id)
        if current is None or not _continues(current, retry):
            await self._reset(retry, current)
        if retry.turn > 0:
            # The history may lack the signal: it was lost, or the history is new.
            return await self.submit(run_id, retry.turn - 1)
        return Delivery.DELIVERED

    async def _reset(self, retry: RetryCommand, current: WorkflowExecutionDescription | None) -> None:
        run_id = retry.run.run_id
        task = await run_resets.reset_point(self._client, run_id, current.run_id) if current else None
        if current is None or task is None:
            await self._start(retry.run, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
            return
        reason = f"Retried with Holdfast by {retry.requested_by}"
        await run_resets.reset(self._client, run_id, current.run_id, task, reason)

    async def reset_reason(self, run_id: str, execution: str) -> str | None:
        """The reason that the user of the reset entered, if this execution is a reset."""
        return await run_resets.reset_reason(self._client, run_id, execution)

    async def is_running(self, run_id: str) -> bool:
        description = await self._describe(run_id)
        return description is not None and description.status is WorkflowExecutionStatus.RUNNING

    async def _describe(self, run_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self._client.get_workflow_handle(run_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def ended_from_outside(self, since: datetime) -> AsyncIterator[list[str]]:
        """Pages of the ids of runs whose workflow was terminated or timed out since then.

        A run that was reset is among them, because its earlier execution was terminated: check `is_running`.
        """
        query = (
            f"WorkflowType = '{RUN_WORKFLOW}' AND ExecutionStatus IN ('Terminated', 'TimedOut') "
            f"AND CloseTime >= '{since.isoformat()}'"
        )
        pages = self._client.list_workflows(query, page_size=PAGE_SIZE)
        while pages.current_page is None or pages.next_page_token:
            await pages.fetch_next_page()
            yield [execution.id for execution in pages.current_page or ()]

    async def _send(self, command: Awaitable[None]) -> Delivery:
        try:
            await command
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return Delivery.NO_WORKFLOW
            raise
        return Delivery.DELIVERED


async def leave_to_sweep(command: str, run_id: str, sending: Awaitable[object]) -> None:
    """Send a command whose row is committed. If Temporal does not accept it in time, the sweep repeats it."""
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            await sending
    except (RPCError, TimeoutError) as error:
        log.warning("run.command_delayed", extra={"command": command, "run_id": run_id, "reason": repr(error)})


def _continues(current: WorkflowExecutionDescription, retry: RetryCommand) -> bool:
    """Whether an execution after the failed one is running: the command is a repeat, or an operator reset the run."""
    return current.status is WorkflowExecutionStatus.RUNNING and current.run_id != retry.failed_execution


def _search_attributes(run: RunInput) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(ASSISTANT_ID, run.assistant_id),
            SearchAttributePair(THREAD_ID, run.thread_id),
            SearchAttributePair(MODEL, run.model[:MAX_KEYWORD_LENGTH]),
            SearchAttributePair(RUN_STATUS, RunStatus.QUEUED.value),
        ]
    )
