"""Repairs what commands, workers and indexes left undone: no file stays in progress, no chunk stays behind."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.service import RPCError

from activities.crawl_reconciler import CrawlReconciler
from activities.heartbeat import heartbeating
from infra.clock import now_seconds
from infra.database import index_deletions, ingestions, vector_stores
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.index_deletion import delete_from_index
from infra.ingest_workflows import IngestWorkflows
from infra.ports import VectorIndex
from infra.vector_index.errors import VectorIndexUnavailable
from models.documents import FileErrorCode
from models.ingestion import IngestBatchInput, IngestEnd, IngestError
from models.vector_stores import StoreFileStatus

PAGE_SIZE = 100
LOOK_AGAIN_AFTER = timedelta(minutes=1)
DELETED_FOR = timedelta(seconds=30)
"""An activity looks at its row before each batch of chunks: after so long it adds none to what was deleted."""
LOST_WORKFLOW = "The ingestion's workflow was ended from outside."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestReport:
    """`started`: files whose workflow was lost or is at work; `failed`: those whose workflow is gone for good."""

    started: int = 0
    failed: int = 0
    deleted: int = 0
    emptied: int = 0


class IngestReconciler:
    def __init__(
        self, database: Database, workflows: IngestWorkflows, vector_index: VectorIndex, crawls: CrawlReconciler
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._index = vector_index
        self._crawls = crawls

    @activity.defn(name="Ingestion.reconcile")
    async def reconcile(self) -> IngestReport:
        """Look at some files and crawls that are long in progress, at expired stores, and at deletions.

        Raises `DatabaseUnavailable`.
        """
        async with heartbeating():
            due = await self._database.write(
                ingestions.take_due, PAGE_SIZE, LOOK_AGAIN_AFTER // timedelta(milliseconds=1)
            )
            repaired = [await self._repair(row) for row in due]
            emptied = await self._database.write(vector_stores.empty_expired, PAGE_SIZE)
            deleted = await self._delete()
            await self._crawls.reconcile()
        return IngestReport(repaired.count(True), repaired.count(False), deleted, len(emptied))

    async def _repair(self, row: AnyRow) -> bool | None:
        """Whether a workflow is at the file, or else it failed; None where Temporal did not answer."""
        file = ingestions.ingest_input(row)
        try:
            if row.batch_id is not None and await self._workflows.start_batch(IngestBatchInput(row.batch_id)):
                return True
            if await self._workflows.start(file):
                return True
        except RPCError as error:
            # The next look is in a minute.
            log.warning("ingestion.command_refused", extra={"file_id": row.id, "reason": error.message})
            return None
        lost = IngestError(FileErrorCode.SERVER_ERROR, LOST_WORKFLOW)
        # Its own commit may have come meanwhile: then this one changes nothing.
        await self._database.write(ingestions.end, IngestEnd(file, StoreFileStatus.FAILED, lost))
        return False

    async def _delete(self) -> int:
        before = now_seconds() - int(DELETED_FOR.total_seconds())
        deletions = await self._database.read(index_deletions.oldest, before, PAGE_SIZE)
        done = 0
        for deletion in deletions:
            try:
                await delete_from_index(self._database, self._index, deletion)
            except VectorIndexUnavailable as error:
                log.warning("index.delete_delayed", extra={"store_id": deletion.store_id, "reason": error.reason})
                break
            await self._database.write(index_deletions.forget, deletion.seq)
            done += 1
        return done
