"""Reads and writes of threads, and the lock that an active run holds on one.

Postgres lets transactions on one thread run side by side. Whoever changes which run is active, who waits, or a
message's place, locks the thread's row first and other rows after it: so they take turns, and never wait for each other
in a circle.
"""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from infra.clock import now_seconds
from infra.database import deleted_items, messages
from infra.database.pages import load_page
from infra.database.tables import (
    IS_ACTIVE,
    DeletedItemRow,
    MessageRow,
    RunRetryRow,
    RunRow,
    RunStepRow,
    ThreadMetadataRow,
    ThreadRow,
    ToolCallRow,
    TurnRow,
)
from models.errors import NotFound
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.messages import OnActiveRun
from models.threads import CreateThreadRequest, ModifyThreadRequest, Thread

NOUN = "thread"
REJECT: OnActiveRun = "reject"


async def create(session: AsyncSession, project_id: str, body: CreateThreadRequest) -> Thread:
    """Create a thread with the messages that `body` brings. Raises `ThreadFull`."""
    row = ThreadRow(
        id=new_id(Prefix.THREAD),
        project_id=project_id,
        created_at=now_seconds(),
        tool_resources={},
        metadata_=body.metadata or {},
        on_active_run=body.on_active_run or REJECT,
        has_queue=False,
    )
    session.add(row)
    await session.flush()
    _index_metadata(session, row)
    await messages.add(session, project_id, row.id, body.messages or [])
    return _to_thread(row)


async def load(session: AsyncSession, project_id: str, thread_id: str) -> Thread:
    """Raises `NotFound`."""
    return _to_thread(await _find(session, project_id, thread_id))


async def list_page(
    session: AsyncSession, project_id: str, page: PageRequest, metadata: Mapping[str, str]
) -> Page[Thread]:
    """The project's threads that have all pairs of `metadata`."""
    project, order_by = ThreadRow.project_id == project_id, None
    only: list[ColumnElement[bool]] = []
    for key, value in metadata.items():
        pair = aliased(ThreadMetadataRow)
        only += [pair.thread_seq == ThreadRow.seq, pair.project_id == project_id, pair.key == key, pair.value == value]
        order_by = pair.thread_seq if order_by is None else order_by
    deleted = (DeletedItemRow.project_id == project_id, DeletedItemRow.thread_id.is_(None))
    rows, has_more = await load_page(
        session, ThreadRow, NOUN, page, project, deleted=deleted, order_by=order_by, only=only
    )
    return Page[Thread].of([_to_thread(row) for row in rows], has_more)


async def modify(session: AsyncSession, project_id: str, thread_id: str, body: ModifyThreadRequest) -> Thread:
    """Replace the metadata where `body` has it. Raises `NotFound`."""
    row = await _find(session, project_id, thread_id, for_update=True)
    if "metadata" in body.model_fields_set:
        row.metadata_ = body.metadata or {}
        await session.execute(delete(ThreadMetadataRow).where(ThreadMetadataRow.thread_seq == row.seq))
        _index_metadata(session, row)
    if "on_active_run" in body.model_fields_set:
        row.on_active_run = body.on_active_run or REJECT
    await session.flush()
    return _to_thread(row)


async def remove(session: AsyncSession, project_id: str, thread_id: str) -> str | None:
    """Delete the thread and all that hangs from it. Returns the run that was active on it. Raises `NotFound`."""
    row = await _find(session, project_id, thread_id, for_update=True)
    active: str | None = await session.scalar(_active_run_id(thread_id).with_for_update())
    run_ids = select(RunRow.id).where(RunRow.thread_id == thread_id)
    for part in (
        delete(ToolCallRow).where(ToolCallRow.run_id.in_(run_ids)),
        delete(TurnRow).where(TurnRow.run_id.in_(run_ids)),
        delete(RunRetryRow).where(RunRetryRow.run_id.in_(run_ids)),
        delete(RunStepRow).where(RunStepRow.run_id.in_(run_ids)),
        delete(RunRow).where(RunRow.thread_id == thread_id),
        delete(MessageRow).where(MessageRow.thread_id == thread_id),
        delete(DeletedItemRow).where(DeletedItemRow.thread_id == thread_id),
        delete(ThreadMetadataRow).where(ThreadMetadataRow.thread_seq == row.seq),
        delete(ThreadRow).where(ThreadRow.id == thread_id),
    ):
        await session.execute(part)
    await deleted_items.remember(session, project_id, None, thread_id, row.seq)
    return active


async def lock(session: AsyncSession, project_id: str, thread_id: str) -> ThreadRow:
    """Keep other transactions from adding messages or runs until this one ends. Raises `NotFound`."""
    return await _find(session, project_id, thread_id, for_update=True)


async def hold(session: AsyncSession, thread_id: str) -> ThreadRow | None:
    """Lock a thread of any project on the engine's behalf. None: it was deleted."""
    return await _locked(session, select(ThreadRow).where(ThreadRow.id == thread_id))


async def hold_of_run(session: AsyncSession, run_id: str) -> ThreadRow | None:
    """Lock the thread of a run. None: both were deleted."""
    on_thread = (RunRow.id == run_id, RunRow.thread_id == ThreadRow.id)
    return await _locked(session, select(ThreadRow).where(*on_thread))


async def active_run_id(session: AsyncSession, thread_id: str) -> str | None:
    return await session.scalar(_active_run_id(thread_id))


async def _find(session: AsyncSession, project_id: str, thread_id: str, for_update: bool = False) -> ThreadRow:
    query = select(ThreadRow).where(ThreadRow.id == thread_id, ThreadRow.project_id == project_id)
    row = await (_locked(session, query) if for_update else session.scalar(query))
    if row is None:
        raise NotFound.of(NOUN, thread_id)
    return row


async def _locked(session: AsyncSession, query: Select[ThreadRow]) -> ThreadRow | None:
    # SQLite knows no row locks and needs none: it has one writer at a time.
    locking = query.with_for_update(of=ThreadRow).execution_options(populate_existing=True)
    row: ThreadRow | None = await session.scalar(locking)
    return row


def _active_run_id(thread_id: str) -> Select[str]:
    return select(RunRow.id).where(RunRow.thread_id == thread_id, IS_ACTIVE)


def _index_metadata(session: AsyncSession, row: ThreadRow) -> None:
    session.add_all(
        ThreadMetadataRow(thread_seq=row.seq, key=key, value=value, project_id=row.project_id)
        for key, value in row.metadata_.items()
    )


def _to_thread(row: ThreadRow) -> Thread:
    return Thread(
        id=row.id,
        created_at=row.created_at,
        tool_resources=row.tool_resources,
        metadata=row.metadata_,
        on_active_run=None if row.on_active_run == REJECT else row.on_active_run,
    )
