"""What arrives on a thread while a run is active and is to wait for its end: messages and runs, in their order.

A waiting run is queued to its client and has no workflow yet. A waiting message can be read at once; when its turn
comes it moves behind the answer that it waited for.
"""

from collections.abc import Callable

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_ms, now_seconds
from infra.database import threads
from infra.database.messages import newest_message_at
from infra.database.tables import IS_WAITING, IS_WAITING_MESSAGE, MessageRow, RunRow, ThreadRow
from models.errors import ThreadLocked, ThreadQueueFull
from models.messages import OnActiveRun

MAX_WAITING_RUNS = 100
MAX_WAITING_MESSAGES = 1_000


async def admit_or_enqueue(
    session: AsyncSession,
    thread: ThreadRow,
    choice: OnActiveRun | None,
    refusal: Callable[[str, str], ThreadLocked],
    *,
    new_runs: int = 0,
    new_messages: int = 0,
) -> int | None:
    """Where the messages and the run stand that arrive on a thread whose lock the caller holds.

    None: the thread is free. Otherwise they wait behind a run, whose `seq` this is. Raises `refusal` of the thread and
    its active run where neither `choice` nor the thread says `enqueue`, and `ThreadQueueFull`.
    """
    active = await threads.active_run_id(session, thread.id)
    if active is None:
        return None
    if (choice or thread.on_active_run) == threads.REJECT:
        raise refusal(thread.id, active)
    return await _enqueue(session, thread, new_runs, new_messages)


async def _enqueue(session: AsyncSession, thread: ThreadRow, new_runs: int, new_messages: int) -> int:
    waiting_runs = select(func.count()).select_from(RunRow).where(RunRow.thread_id == thread.id, IS_WAITING)
    waiting_messages = (
        select(func.count()).select_from(MessageRow).where(MessageRow.thread_id == thread.id, IS_WAITING_MESSAGE)
    )
    if new_runs and (await session.scalar(waiting_runs) or 0) + new_runs > MAX_WAITING_RUNS:
        raise ThreadQueueFull(thread.id, MAX_WAITING_RUNS, "runs")
    if new_messages and (await session.scalar(waiting_messages) or 0) + new_messages > MAX_WAITING_MESSAGES:
        raise ThreadQueueFull(thread.id, MAX_WAITING_MESSAGES, "messages")
    thread.has_queue = True
    return await session.scalar(select(func.max(RunRow.seq)).where(RunRow.thread_id == thread.id)) or 0


async def advance(session: AsyncSession, thread_id: str) -> RunRow | None:
    """Let in what waited for the run that ends in this transaction. Returns the run whose turn it is, to be started."""
    # Locked: what joins the queue at this moment is either seen here or sees that the thread is free.
    thread = await threads.hold(session, thread_id)
    if thread is None or not thread.has_queue:
        return None
    waiting = select(RunRow).where(RunRow.thread_id == thread_id, IS_WAITING, RunRow.expires_at > now_seconds())
    following = (await session.scalars(waiting.order_by(RunRow.seq).limit(2))).all()
    run = following[0] if following else None
    still_waiting = await _admit_messages(session, thread_id, run.seq if run else None)
    thread.has_queue = len(following) > 1 or still_waiting
    if run is not None:
        run.waiting = False
        run.status_changed_at = now_ms()
        run.last_message_seq = await last_message_seq(session, thread_id)
    await session.flush()
    return run


async def last_message_seq(session: AsyncSession, thread_id: str) -> int:
    """The newest message that does not wait."""
    newest = select(MessageRow.seq).where(MessageRow.thread_id == thread_id, MessageRow.queued_behind.is_(None))
    return await session.scalar(newest.order_by(MessageRow.seq.desc()).limit(1)) or 0


async def _admit_messages(session: AsyncSession, thread_id: str, before_run: int | None) -> bool:
    """Move the waiting messages to the thread's end; those that came before a run, or all, wait no longer.

    Returns whether any still waits. Their `seq` is their place, so they are inserted anew; none is to seem older than
    the answer that it follows now.
    """
    table = MessageRow.__table__
    waiting = (table.c.thread_id == thread_id, IS_WAITING_MESSAGE)
    rows = (await session.execute(select(table).where(*waiting).order_by(table.c.seq))).mappings().all()
    if not rows:
        return False
    moved = [{name: value for name, value in row.items() if name != "seq"} for row in rows]
    await session.execute(delete(MessageRow).where(*waiting).execution_options(synchronize_session=False))
    newest = await session.scalar(newest_message_at(thread_id)) or 0
    for message in moved:
        message["created_at"] = max(message["created_at"], newest)
        if before_run is None or message["queued_behind"] < before_run:
            message["queued_behind"] = None
    await session.execute(insert(table), moved)  # type: ignore[arg-type]
    return any(message["queued_behind"] is not None for message in moved)
