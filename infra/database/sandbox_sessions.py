"""The sandbox session of a thread. Any worker finds it here; whether it still lives, only its sandbox knows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from infra.clock import now_seconds
from infra.database.columns import AnyRow
from infra.database.run_tables import TOOL_CALLS
from infra.database.sandbox_tables import IS_CLOSED, SANDBOX_SESSIONS
from infra.database.thread_tables import THREADS
from models.code_cells import SandboxSession
from models.tool_calls import CELLS, CodeCell

_OF_THREAD = SANDBOX_SESSIONS.c.thread_id == bindparam("thread")
_LOCK_THREAD = select(THREADS.c.id).where(THREADS.c.id == bindparam("thread")).with_for_update(of=THREADS)
_FIND = select(SANDBOX_SESSIONS).where(_OF_THREAD)
_INSERT = insert(SANDBOX_SESSIONS)
_RENEW = (
    update(SANDBOX_SESSIONS)
    .where(_OF_THREAD, SANDBOX_SESSIONS.c.generation == bindparam("old"))
    .values(generation=bindparam("old") + 1, url=bindparam("new_url"), started_at=bindparam("now"))
)
_USE = (
    update(SANDBOX_SESSIONS)
    .where(_OF_THREAD)
    .values(last_used_at=bindparam("now"), placed=bindparam("new_placed", type_=SANDBOX_SESSIONS.c.placed.type))
)
_CLOSE = update(SANDBOX_SESSIONS).where(_OF_THREAD).values(closed_at=bindparam("now"))
_CLOSED = (
    select(SANDBOX_SESSIONS)
    .where(IS_CLOSED, SANDBOX_SESSIONS.c.url.not_in(bindparam("others", expanding=True)))
    .order_by(SANDBOX_SESSIONS.c.closed_at)
    .limit(bindparam("most"))
)
_FORGET = delete(SANDBOX_SESSIONS).where(
    IS_CLOSED, SANDBOX_SESSIONS.c.closed_at < bindparam("before"), SANDBOX_SESSIONS.c.url == bindparam("place")
)
_REMOVE = delete(SANDBOX_SESSIONS).where(_OF_THREAD)
_CALL = TOOL_CALLS.c.id == bindparam("call")
_BEGIN_CELL = (
    update(TOOL_CALLS)
    .where(_CALL, TOOL_CALLS.c.cell.is_(None))
    .values(cell=bindparam("new_cell", type_=TOOL_CALLS.c.cell.type))
)
_CELL = select(TOOL_CALLS.c.cell).where(_CALL)


@dataclass(frozen=True)
class StoredSession:
    """`was_used`: code has run in it or in an earlier one of its thread. `placed` has names by the ids of files."""

    session: SandboxSession
    was_used: bool
    placed: Mapping[str, str]


def find(connection: Connection, thread_id: str) -> StoredSession | None:
    row = connection.execute(_FIND, {"thread": thread_id}).one_or_none()
    return None if row is None else _stored(row)


def create(connection: Connection, project_id: str, thread_id: str, url: str) -> StoredSession | None:
    """The thread's first session, or the one that it has got meanwhile. None: the thread was deleted."""
    if connection.scalar(_LOCK_THREAD, {"thread": thread_id}) is None:
        return None
    if found := find(connection, thread_id):
        return found
    values = {"thread_id": thread_id, "project_id": project_id, "url": url, "generation": 1, "placed": {}}
    connection.execute(_INSERT, {**values, "started_at": now_seconds()})
    return find(connection, thread_id)


def renew(connection: Connection, stored: StoredSession, url: str) -> StoredSession | None:
    """The next generation, or the one that replaced `stored` meanwhile. None: the thread was deleted."""
    session = stored.session
    connection.execute(_RENEW, {"thread": session.id, "old": session.generation, "new_url": url, "now": now_seconds()})
    return find(connection, session.id)


def begin_cell(
    connection: Connection, call_id: str, session: SandboxSession, preface: str, placed: Mapping[str, str]
) -> CodeCell:
    """Record that the call's code begins in the session. Returns what an earlier attempt recorded, if one did."""
    cell = CodeCell(session.generation, preface)
    begun = connection.execute(_BEGIN_CELL, {"call": call_id, "new_cell": CELLS.dump_python(cell, mode="json")})
    if not begun.rowcount:
        return cell_of(connection, call_id) or cell
    connection.execute(_USE, {"thread": session.id, "now": now_seconds(), "new_placed": dict(placed)})
    return cell


def cell_of(connection: Connection, call_id: str) -> CodeCell | None:
    found = connection.scalar(_CELL, {"call": call_id})
    return None if found is None else CELLS.validate_python(found)


def close(connection: Connection, thread_id: str) -> None:
    """Let the session of a deleted thread be ended."""
    connection.execute(_CLOSE, {"thread": thread_id, "now": now_seconds()})


def closed(connection: Connection, limit: int, but_those_at: Collection[str] = ()) -> Sequence[SandboxSession]:
    """Sessions of deleted threads, the oldest first, but for those at some places."""
    rows = connection.execute(_CLOSED, {"most": limit, "others": list(but_those_at)})
    return [_stored(row).session for row in rows]


def forget_closed(connection: Connection, place: str, before: int) -> int:
    """Forget the sessions at a place whose threads were deleted before a time (seconds). Returns how many."""
    return connection.execute(_FORGET, {"place": place, "before": before}).rowcount


def remove(connection: Connection, thread_id: str) -> None:
    """Forget a session that has ended."""
    connection.execute(_REMOVE, {"thread": thread_id})


def _stored(row: AnyRow) -> StoredSession:
    session = SandboxSession(row.thread_id, row.generation, row.url)
    return StoredSession(session, row.last_used_at is not None, row.placed)
