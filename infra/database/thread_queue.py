"""The queue of messages and runs that arrive on a thread while a run is active, in order of arrival.

A waiting run has the status `queued` and no workflow yet. A waiting message can be read at once; when it is admitted
it moves behind the answer for which it waited.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, insert, select, update

from infra.clock import now_ms, now_seconds
from infra.database import threads
from infra.database.columns import AnyRow
from infra.database.messages import newest_at
from infra.database.run_tables import IS_WAITING, RUNS
from infra.database.thread_tables import IS_WAITING_MESSAGE, MESSAGES, THREADS
from models.messages import OnActiveRun
from models.thread_errors import ThreadLocked, ThreadQueueFull

MAX_WAITING_RUNS = 100
MAX_WAITING_MESSAGES = 1_000

_THREAD: BindParameter[Any] = bindparam("thread")
_COUNT_WAITING_RUNS = select(func.count()).select_from(RUNS).where(RUNS.c.thread_id == _THREAD, IS_WAITING)
_COUNT_WAITING_MESSAGES = (
    select(func.count()).select_from(MESSAGES).where(MESSAGES.c.thread_id == _THREAD, IS_WAITING_MESSAGE)
)
_NEWEST_RUN = select(func.max(RUNS.c.seq)).where(RUNS.c.thread_id == _THREAD)
_NEWEST_MESSAGE = (
    select(MESSAGES.c.seq)
    .where(MESSAGES.c.thread_id == _THREAD, MESSAGES.c.queued_behind.is_(None))
    .order_by(MESSAGES.c.seq.desc())
    .limit(1)
)
LAST_MESSAGE_SEQ = func.coalesce(_NEWEST_MESSAGE.scalar_subquery(), 0)
"""The `seq` of the newest message of `:thread` that does not wait."""

_SET_HAS_QUEUE = update(THREADS).where(THREADS.c.id == _THREAD).values(has_queue=bindparam("new_has_queue"))
_WAITING_RUNS = (
    select(RUNS.c.id, RUNS.c.seq)
    .where(RUNS.c.thread_id == _THREAD, IS_WAITING, RUNS.c.expires_at > bindparam("now"))
    .order_by(RUNS.c.seq)
    .limit(2)
)
_ADMIT_RUN = (
    update(RUNS)
    .where(RUNS.c.id == bindparam("run"))
    .values(waiting=False, status_changed_at=bindparam("now_ms"), last_message_seq=LAST_MESSAGE_SEQ)
    .returning(RUNS)
)
_IS_WAITING_HERE = (MESSAGES.c.thread_id == _THREAD, IS_WAITING_MESSAGE)
_WAITING_MESSAGES = select(MESSAGES).where(*_IS_WAITING_HERE).order_by(MESSAGES.c.seq)
_TAKE_OUT_MESSAGES = delete(MESSAGES).where(*_IS_WAITING_HERE)
_PUT_BACK_MESSAGES = insert(MESSAGES)


def admit_or_enqueue(
    connection: Connection,
    thread: AnyRow,
    choice: OnActiveRun | None,
    refusal: Callable[[str, str], ThreadLocked],
    *,
    new_runs: int = 0,
    new_messages: int = 0,
) -> int | None:
    """Decide whether messages and a run that arrive on a thread are admitted. The caller has locked the thread.

    None: the thread is free. Otherwise they wait behind the run with this `seq`. Raises `refusal` of the thread and its
    active run if neither `choice` nor the thread says `enqueue`, and `ThreadQueueFull`.
    """
    active = threads.active_run_id(connection, thread.id)
    if active is None:
        return None
    if (choice or thread.on_active_run) == threads.REJECT:
        raise refusal(thread.id, active)
    return _enqueue(connection, thread.id, new_runs, new_messages)


def _enqueue(connection: Connection, thread_id: str, new_runs: int, new_messages: int) -> int:
    this = {"thread": thread_id}
    if new_runs and (connection.scalar(_COUNT_WAITING_RUNS, this) or 0) + new_runs > MAX_WAITING_RUNS:
        raise ThreadQueueFull(thread_id, MAX_WAITING_RUNS, "runs")
    if new_messages and (connection.scalar(_COUNT_WAITING_MESSAGES, this) or 0) + new_messages > MAX_WAITING_MESSAGES:
        raise ThreadQueueFull(thread_id, MAX_WAITING_MESSAGES, "messages")
    connection.execute(_SET_HAS_QUEUE, {**this, "new_has_queue": True})
    return connection.scalar(_NEWEST_RUN, this) or 0


def advance(connection: Connection, thread: AnyRow | None) -> AnyRow | None:
    """Admit the messages and the run that waited for the run that ends in this transaction. Returns the run to start.

    The caller locked `thread` at the transaction's beginning: a message or run that arrives at this moment is either
    found here or finds the thread free. None: the thread was deleted.
    """
    if thread is None or not thread.has_queue:
        return None
    this = {"thread": thread.id}
    following = connection.execute(_WAITING_RUNS, {**this, "now": now_seconds()}).all()
    run = following[0] if following else None
    still_waiting = _admit_messages(connection, thread.id, run.seq if run else None)
    connection.execute(_SET_HAS_QUEUE, {**this, "new_has_queue": len(following) > 1 or still_waiting})
    if run is None:
        return None
    return connection.execute(_ADMIT_RUN, {**this, "run": run.id, "now_ms": now_ms()}).one()


def _admit_messages(connection: Connection, thread_id: str, before_run: int | None) -> bool:
    """Move the waiting messages to the thread's end; those that came before a run, or all, are admitted.

    Returns whether any still waits. Their `seq` is their place, so they are inserted anew. None may appear older than
    the answer that it now follows.
    """
    this = {"thread": thread_id}
    rows = connection.execute(_WAITING_MESSAGES, this).mappings().all()
    if not rows:
        return False
    moved = [{name: value for name, value in row.items() if name != "seq"} for row in rows]
    connection.execute(_TAKE_OUT_MESSAGES, this)
    newest = newest_at(connection, thread_id)
    for message in moved:
        message["created_at"] = max(message["created_at"], newest)
        if before_run is None or message["queued_behind"] < before_run:
            message["queued_behind"] = None
    connection.execute(_PUT_BACK_MESSAGES, moved)
    return any(message["queued_behind"] is not None for message in moved)
