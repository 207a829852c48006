"""The commands to the workflows that ingest files. Every one is idempotent: repeating it, or too late, does nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from infra.settings import Settings
from infra.temporal import FILE_ID, VECTOR_STORE_ID
from models.ingestion import INGEST_BATCH_WORKFLOW, INGEST_WORKFLOW, IngestBatchInput, IngestInput

COMMAND_TIMEOUT = timedelta(seconds=3)

log = logging.getLogger(__name__)


class IngestWorkflows:
    """Workflows have ids that follow from what they ingest, so that commands need no other record of them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._task_queue = settings.task_queue

    async def start(self, file: IngestInput) -> bool:
        """Start ingesting a file. False where its workflow has ended before: it is never started twice."""
        found_by = [SearchAttributePair(VECTOR_STORE_ID, file.store_id), SearchAttributePair(FILE_ID, file.file_id)]
        return await self._start(INGEST_WORKFLOW, file, file.summary, found_by)

    async def start_batch(self, batch: IngestBatchInput) -> bool:
        """Start ingesting the files of a batch, some at a time. False where its workflow has ended before."""
        return await self._start(INGEST_BATCH_WORKFLOW, batch, batch.batch_id, [])

    async def cancel_batch(self, batch_id: str) -> None:
        """Cancel the ingestions that are under way. Their rows are cancelled already, so none is completed."""
        try:
            await self._client.get_workflow_handle(IngestBatchInput(batch_id).workflow_id).cancel()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _start(
        self,
        workflow: str,
        of: IngestInput | IngestBatchInput,
        summary: str,
        found_by: Sequence[SearchAttributePair[str]],
    ) -> bool:
        try:
            await self._client.start_workflow(
                workflow,
                of,
                id=of.workflow_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=summary,
                search_attributes=TypedSearchAttributes(found_by),
            )
        except WorkflowAlreadyStartedError:
            description = await self._client.get_workflow_handle(of.workflow_id).describe()
            return description.status is WorkflowExecutionStatus.RUNNING
        return True


async def leave_to_reconciler(command: str, workflow_id: str, sending: Awaitable[object]) -> None:
    """Send a command whose row is committed. One that Temporal does not take in time is the reconciler's to repeat."""
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            await sending
    except (RPCError, TimeoutError) as error:
        facts = {"command": command, "workflow_id": workflow_id, "reason": repr(error)}
        log.warning("ingestion.command_delayed", extra=facts)
