"""Makes the object store, and the sandbox's sessions, agree with the rows: they alone say what exists.

Bytes whose row was deleted go within a sweep. Bytes that never had a row, and rows whose bytes are gone, are looked for
page by page, through all of them about once an hour.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection
from temporalio import activity

from activities.closed_sessions import ClosedSessions
from activities.heartbeat import heartbeating
from infra.clock import now_seconds
from infra.database import doomed_objects, files, sandbox_files, uploads
from infra.database.engine import Database
from infra.object_store.errors import ObjectMissing
from infra.ports import CodeSandbox, ObjectStore
from models.stored_objects import KeyPrefix, StoredObject, id_of, object_key

ORPHANED_AFTER = timedelta(hours=2)
"""Longer than any upload may take: S3 dates an object by the beginning of its upload, and its row comes at the end."""

SCAN_INTERVAL = timedelta(hours=1)
PAGE_SIZE = 100
MAX_PAGES = 10
OBJECTS_AT_A_TIME = 500
FILES_AT_A_TIME = 50
MAX_AT_ONCE = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectSweep:
    """What one sweep did, and where the next one goes on: with objects after a key and files after a `seq`.

    Once both have come to their end (None), the next scan begins at `next_scan_at` (seconds).
    """

    expired: int = 0
    deleted: int = 0
    orphans: int = 0
    lost: int = 0
    objects_after: str | None = ""
    files_after: int | None = 0
    next_scan_at: int = 0


class ObjectReconciler:
    def __init__(
        self,
        database: Database,
        object_store: ObjectStore,
        orphaned_after: timedelta = ORPHANED_AFTER,
        sandbox: CodeSandbox | None = None,
    ) -> None:
        self._database = database
        self._store = object_store
        self._orphaned_after = orphaned_after
        self._closed_sessions = ClosedSessions(database, sandbox)

    @activity.defn(name="Objects.reconcile")
    async def reconcile(self, last: ObjectSweep | None = None) -> ObjectSweep:
        """End what has expired, delete the bytes of what was deleted, and go on with the scan where `last` ended it.

        Raises `ObjectStoreUnavailable`, `DatabaseUnavailable`; nothing is lost where it is cut off at any point.
        """
        # Deletions and listings may take longer than the timeout of a heartbeat.
        async with heartbeating():
            return await self._reconcile(last or ObjectSweep(next_scan_at=_next_scan_at()))

    async def _reconcile(self, last: ObjectSweep) -> ObjectSweep:
        expired = await self._pages(files.remove_expired) + await self._pages(uploads.expire)
        deleted = await self._delete_doomed()
        objects_after, files_after, next_scan_at = last.objects_after, last.files_after, last.next_scan_at
        if objects_after is None and files_after is None and now_seconds() >= next_scan_at:
            objects_after, files_after = "", 0
            next_scan_at = _next_scan_at()
        orphans, objects_after = await self._delete_orphans(objects_after)
        lost, files_after = await self._mark_lost(files_after)
        # At the end: a sandbox that does not answer must not hold up the objects.
        await self._closed_sessions.end()
        return ObjectSweep(expired, deleted, orphans, lost, objects_after, files_after, next_scan_at)

    async def _pages(self, end: Callable[[Connection, int], Sequence[str]]) -> int:
        ended = 0
        for _ in range(MAX_PAGES):
            page = await self._database.write(end, PAGE_SIZE)
            ended += len(page)
            if len(page) < PAGE_SIZE:
                break
        return ended

    async def _delete_doomed(self) -> int:
        deleted = 0
        for _ in range(MAX_PAGES):
            keys = await self._database.read(doomed_objects.oldest, now_seconds(), PAGE_SIZE)
            await self._delete(keys)
            await self._database.write(doomed_objects.remove, keys)
            deleted += len(keys)
            if len(keys) < PAGE_SIZE:
                break
        return deleted

    async def _delete_orphans(self, after: str | None) -> tuple[int, str | None]:
        if after is None:
            return 0, None
        found = await self._store.list_page(after, OBJECTS_AT_A_TIME)
        before = datetime.now(UTC) - self._orphaned_after
        aged = [each for each in found if each.modified_at < before]
        orphans = [
            *await self._without_row(aged, KeyPrefix.FILE, files.known),
            *await self._without_row(aged, KeyPrefix.UPLOAD_PART, uploads.known_parts),
            *await self._without_row(aged, KeyPrefix.SANDBOX_FILE, sandbox_files.known),
        ]
        await self._delete(orphans)
        for key in orphans:
            log.warning("object.orphan_deleted", extra={"key": key})
        return len(orphans), found[-1].key if len(found) == OBJECTS_AT_A_TIME else None

    async def _without_row(
        self,
        found: Sequence[StoredObject],
        prefix: KeyPrefix,
        known: Callable[[Connection, Sequence[str]], set[str]],
    ) -> list[str]:
        ids = [object_id for each in found if (object_id := id_of(prefix, each.key)) is not None]
        with_row = await self._database.read(known, ids)
        return [object_key(prefix, object_id) for object_id in ids if object_id not in with_row]

    async def _mark_lost(self, after: int | None) -> tuple[int, int | None]:
        if after is None:
            return 0, None
        page = await self._database.read(files.page_after, after, FILES_AT_A_TIME)
        lost = 0
        for row in page:
            if not await self._has_content(row.id) and await self._database.write(files.mark_lost, row.id):
                log.error("file.content_lost", extra={"file_id": row.id})
                lost += 1
        return lost, page[-1].seq if len(page) == FILES_AT_A_TIME else None

    async def _has_content(self, file_id: str) -> bool:
        async with aclosing(self._store.get(object_key(KeyPrefix.FILE, file_id), 0, 0)) as content:
            try:
                await anext(content, b"")
            except ObjectMissing:
                return False
        return True

    async def _delete(self, keys: Sequence[str]) -> None:
        room = asyncio.Semaphore(MAX_AT_ONCE)

        async def delete(key: str) -> None:
            async with room:
                await self._store.delete(key)

        await asyncio.gather(*map(delete, keys))


def _next_scan_at() -> int:
    return now_seconds() + int(SCAN_INTERVAL.total_seconds())
