"""Ingesting a file, and the files of a batch some at a time."""

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    TimeoutError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from activities.ingestion import Ingestion, IngestionEnds
from models.documents import FileErrorCode
from models.ingestion import (
    FILE_ATTRIBUTE,
    INGEST_BATCH_WORKFLOW,
    INGEST_WORKFLOW,
    VECTOR_STORE_ATTRIBUTE,
    IngestBatchInput,
    IngestEnd,
    IngestError,
    IngestInput,
    PendingFiles,
)
from models.vector_stores import StoreFileStatus
from workflows import activity_options

INGEST_FAILED = "IngestFailed"
FILES_AT_A_TIME = 8
VECTOR_STORE_ID = SearchAttributeKey.for_keyword(VECTOR_STORE_ATTRIBUTE)
FILE_ID = SearchAttributeKey.for_keyword(FILE_ATTRIBUTE)
TOOK_TOO_LONG = "The file could not be processed in time."


@workflow.defn(name=INGEST_WORKFLOW)
class IngestWorkflow:
    """The row in the database says how the file stands. Ends Failed where the file failed.

    Returns the file's status. Whatever happens, the row leaves `in_progress` before this ends.
    """

    @workflow.run
    async def run(self, file: IngestInput) -> StoreFileStatus:
        try:
            status = await self._ingest(file)
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancelled_exception(error):
                await self._end(IngestEnd(file, StoreFileStatus.CANCELLED))
                raise
            status = await self._end(IngestEnd(file, StoreFileStatus.FAILED, _reason(error)))
        if status is StoreFileStatus.FAILED:
            raise ApplicationError(f"{file.file_id} failed: see its last_error.", type=INGEST_FAILED)
        return status

    async def _ingest(self, file: IngestInput) -> StoreFileStatus:
        return await workflow.execute_activity_method(
            Ingestion.ingest,
            file,
            task_queue=activity_options.ingestion_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.INGEST_ATTEMPT_TIMEOUT,
            schedule_to_close_timeout=activity_options.INGEST_DEADLINE,
            heartbeat_timeout=activity_options.HEARTBEAT_TIMEOUT,
            retry_policy=activity_options.MODEL_RETRIES,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=file.file_id,
        )

    async def _end(self, ended: IngestEnd) -> StoreFileStatus:
        ending = workflow.start_activity_method(
            IngestionEnds.end,
            ended,
            task_queue=activity_options.control_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.DATABASE_TIMEOUT,
            retry_policy=activity_options.DATABASE_RETRIES,
            summary=f"end · {ended.status}",
        )
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            # A cancel that comes meanwhile must not leave the row as it was.
            return await ending


@workflow.defn(name=INGEST_BATCH_WORKFLOW)
class IngestBatchWorkflow:
    """Ingests the files of a batch, `FILES_AT_A_TIME` of them at a time, and page by page."""

    @workflow.run
    async def run(self, batch: IngestBatchInput) -> None:
        page = await self._pending(batch)
        waiting = list(page.files)

        async def ingest_in_turn() -> None:
            while waiting:
                await _ingest_as_child(waiting.pop(0))

        await asyncio.gather(*(ingest_in_turn() for _ in range(FILES_AT_A_TIME)))
        if page.after is not None:
            workflow.continue_as_new(IngestBatchInput(batch.batch_id, page.after))

    async def _pending(self, batch: IngestBatchInput) -> PendingFiles:
        return await workflow.execute_activity_method(
            IngestionEnds.pending,
            batch,
            task_queue=activity_options.control_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.DATABASE_TIMEOUT,
            retry_policy=activity_options.DATABASE_RETRIES,
            summary="pending files",
        )


async def _ingest_as_child(file: IngestInput) -> None:
    """Its row says how it ended: a file that fails stops no other."""
    try:
        await workflow.execute_child_workflow(
            IngestWorkflow.run,
            file,
            id=file.workflow_id,
            # Of a batch that is terminated each file goes on to an end of its own.
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=file.summary,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(VECTOR_STORE_ID, file.store_id), SearchAttributePair(FILE_ID, file.file_id)]
            ),
        )
    except WorkflowAlreadyStartedError:
        return
    except ChildWorkflowError as error:
        if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
            raise


def _reason(error: BaseException) -> IngestError:
    # Attempts are repeated until the deadline. Temporal reports the last one, or a time-out that was caused by it.
    last = error.__cause__
    if isinstance(last, TimeoutError):
        last = last.__cause__
    message = TOOK_TOO_LONG
    if isinstance(last, ApplicationError) and last.details:
        message = f"{TOOK_TOO_LONG} The last attempt failed: {last.message}"
    return IngestError(FileErrorCode.SERVER_ERROR, message)
