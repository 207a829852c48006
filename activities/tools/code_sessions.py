"""The sandbox session of a run's thread: found, opened anew where it has ended, and given the files of the thread."""

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from infra.database import files, interpreter_files, sandbox_files, sandbox_sessions
from infra.database.engine import Database
from infra.database.sandbox_files import KeptFile
from infra.database.sandbox_sessions import StoredSession
from infra.object_store.errors import ObjectMissing
from infra.ports import CodeSandbox, ObjectStore, ToolScope
from infra.sandbox.errors import SandboxFileRefused, SandboxUnavailable, SessionGone
from infra.tools.errors import ToolFailed
from models.code_cells import OpenedSession, SandboxFile, SandboxSession
from models.files import File
from models.placed_files import names_of
from models.stored_objects import KeyPrefix, object_key
from models.tool_calls import CodeCell

MOVES_AFTER_ATTEMPTS = 3
"""With so many attempts, after some seconds, a thread leaves a sandbox that does not answer for another one."""

THREAD_DELETED = "The conversation was deleted."
RESTARTED = "[The session was restarted: variables are gone, files in /mnt/data are kept.]\n"
NOT_PLACED = "[The file {name} is not in /mnt/data: {reason}]\n"
CONTENT_MISSING = "its content is missing."


@dataclass(frozen=True)
class ReadySession:
    """A session with the files of its thread. `preface` describes what happened to it, before what the code writes."""

    session: SandboxSession
    preface: str
    placed: Mapping[str, str]


@dataclass(frozen=True)
class _Wanted:
    """The files that the session has to have: attached ones that exist, and those that earlier code has kept.

    `deleted` are attached files that the session has although they were deleted.
    """

    attached: Sequence[File]
    kept: Mapping[str, KeptFile]
    deleted: Sequence[str] = field(default=())


@dataclass(frozen=True)
class CodeSessions:
    database: Database
    object_store: ObjectStore
    sandbox: CodeSandbox

    async def ready(self, scope: ToolScope, call_id: str, cell: CodeCell | None) -> ReadySession | None:
        """The thread's session, with its files. None: `cell` began in a session that has ended since.

        Raises `SandboxUnavailable`, `SandboxRefused`.
        """
        stored = await self._current(scope)
        if cell is not None:
            return await self._rejoined(scope, stored, call_id, cell)
        wanted = await self.database.read(_wanted, scope, stored)
        if wanted.deleted:
            # Code could still read what its owner has deleted.
            stored = await self._renewed(stored)
        stored, opened = await self._opened(scope, stored)
        is_new = opened.is_new
        placed = {file_id: name for file_id, name in stored.placed.items() if file_id not in wanted.deleted}
        names = names_of(wanted.attached, placed, wanted.kept)
        missing = [file for file in wanted.attached if is_new or file.id not in placed]
        notes = [note for file in missing for note in await self._place(stored.session, file, names[file.id])]
        if is_new:
            # After a restart the folder is as the code has left it, which may be newer than what is kept.
            there = {file.name for file in opened.files}
            lost = [kept for kept in wanted.kept.values() if kept.name not in there]
            notes += [note for kept in lost for note in await self._restore(stored.session, kept)]
        restarted = [RESTARTED] if is_new and stored.was_used else []
        return ReadySession(stored.session, "".join([*restarted, *notes]), {**placed, **names})

    async def _rejoined(
        self, scope: ToolScope, stored: StoredSession, call_id: str, cell: CodeCell
    ) -> ReadySession | None:
        if cell.generation != stored.session.generation:
            return None
        try:
            opened = await self.sandbox.open(stored.session)
        except SessionGone:
            return None
        except SandboxUnavailable:
            if not await self._may_leave(scope, stored):
                raise
            return None
        if opened.is_new and call_id not in opened.cells:
            return None
        return ReadySession(stored.session, cell.preface, stored.placed)

    async def _current(self, scope: ToolScope) -> StoredSession:
        stored = await self.database.read(sandbox_sessions.find, scope.run.thread_id)
        if stored is None:
            place, thread_id = await self.sandbox.place(), scope.run.thread_id
            stored = await self.database.write(sandbox_sessions.create, scope.project_id, thread_id, place)
        return _existing(stored)

    async def _renewed(self, stored: StoredSession) -> StoredSession:
        return _existing(await self.database.write(sandbox_sessions.renew, stored, await self.sandbox.place()))

    async def _opened(self, scope: ToolScope, stored: StoredSession) -> tuple[StoredSession, OpenedSession]:
        """The open session, which may be a newer one, and what it has."""
        while True:
            try:
                opened = await self.sandbox.open(stored.session)
            except SessionGone:
                stored = await self._renewed(stored)
            except SandboxUnavailable:
                if not await self._may_leave(scope, stored):
                    raise
                stored = await self._renewed(stored)
            else:
                return stored, opened

    async def _may_leave(self, scope: ToolScope, stored: StoredSession) -> bool:
        return scope.attempt >= MOVES_AFTER_ATTEMPTS and await self.sandbox.place() != stored.session.place

    async def _place(self, session: SandboxSession, file: File, name: str) -> Sequence[str]:
        """Put an attached file into the session. Returns what there is to say about it."""
        key = object_key(KeyPrefix.FILE, file.id)
        try:
            digest = hashlib.sha256()
            async for piece in self.object_store.get(key):
                digest.update(piece)
        except ObjectMissing:
            return [NOT_PLACED.format(name=name, reason=CONTENT_MISSING)]
        return await self._put(session, SandboxFile(name, file.bytes, digest.hexdigest()), key, alias=file.id)

    async def _restore(self, session: SandboxSession, kept: KeptFile) -> Sequence[str]:
        return await self._put(session, SandboxFile(kept.name, kept.bytes, kept.sha256), kept.key)

    async def _put(
        self, session: SandboxSession, file: SandboxFile, key: str, alias: str | None = None
    ) -> Sequence[str]:
        content: AsyncGenerator[bytes, None] = self.object_store.get(key)
        try:
            await self.sandbox.put_file(session, file, content, alias)
        except ObjectMissing:
            return [NOT_PLACED.format(name=file.name, reason=CONTENT_MISSING)]
        except SandboxFileRefused as error:
            return [NOT_PLACED.format(name=file.name, reason=error)]
        return []


def _wanted(connection: Connection, scope: ToolScope, stored: StoredSession) -> _Wanted:
    attached = interpreter_files.of_run(connection, scope.project_id, scope.run)
    kept = sandbox_files.of_thread(connection, scope.run.thread_id)
    existing = files.find(connection, scope.project_id, list(stored.placed))
    return _Wanted(attached, kept, [file_id for file_id in stored.placed if file_id not in existing])


def _existing(stored: StoredSession | None) -> StoredSession:
    if stored is None:
        raise ToolFailed(THREAD_DELETED)
    return stored
