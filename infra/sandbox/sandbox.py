"""The sandbox of one process: its sessions, how they are watched, and when they end."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import structlog

from infra.background import beside
from infra.sandbox.box import BOX_USER, BoxPlan
from infra.sandbox.boxes import Boxes
from infra.sandbox.bubblewrap import BubblewrapMissing, find_interpreter, find_program, runs_as_root
from infra.sandbox.errors import SandboxRefused, SandboxUnavailable, SessionGone
from infra.sandbox.limits import Limits
from infra.sandbox.packages import Packages
from infra.sandbox.probe import Isolation, probe, refused
from infra.sandbox.run_folder import RunFolder, run_folder
from infra.sandbox.seccomp import UnknownMachine, filter_program
from infra.sandbox.sessions import Session, gone
from infra.sandbox.usage import Usage
from infra.sandbox.watch import (
    WHILE_BUSY,
    WHILE_IDLE,
    Watched,
    complaint,
    disk_is_full,
    measure,
    memory_is_short,
)
from infra.settings import Settings
from models.code_cells import OpenedSession, PackageState, SandboxHealth

RETRY_WHILE_PREPARING = timedelta(seconds=2)
MAX_REMEMBERED_GENERATIONS = 100_000

CELLS_AT_ONCE = 2 * (os.cpu_count() or 1)
"""Cells that run at a time; the time limit of one that waits has not begun."""

log = structlog.get_logger()


class Sandbox:
    """Call it on the main thread only. `place` and its boxes are None where code cannot be kept in a box here."""

    def __init__(
        self, limits: Limits, packages: Packages, isolation: Isolation, place: RunFolder | None, boxes: Boxes | None
    ) -> None:
        self.limits = limits
        self.packages = packages
        self.isolation = isolation
        self._place = place
        self._boxes = boxes
        self._at_once = asyncio.Semaphore(CELLS_AT_ONCE)
        self._sessions: dict[str, tuple[int, Session]] = {}
        self._newest: dict[str, int] = {}
        self._opening = asyncio.Lock()

    def health(self) -> SandboxHealth:
        state, note = self.packages.state()
        return SandboxHealth(
            self.isolation.name, self.isolation.refusal, state, note, len(self._sessions), self.limits.sessions
        )

    async def open(self, session_id: str, generation: int) -> OpenedSession:
        async with self._opening:
            session = self._found(session_id, generation) or await self._new(session_id, generation)
        return OpenedSession(not session.has_variables, session.folder.files(), session.calls)

    def session(self, session_id: str, generation: int) -> Session:
        """Raises `SessionGone`, `SandboxRefused`."""
        self._check_isolation()
        if not (session := self._found(session_id, generation)):
            raise gone()
        return session

    async def close(self, session_id: str, generation: int) -> None:
        found = self._sessions.get(session_id)
        if found and found[0] <= generation:
            await self._end(session_id, "the session was closed")

    @property
    def incoming(self) -> Path:
        """Where a file is until it is whole. Raises `SandboxRefused`."""
        self._check_isolation()
        assert self._place is not None  # noqa: S101 - as code can run
        return self._place.incoming

    def prepare(self) -> None:
        """Start boxes in advance, once the packages are there."""
        if self._boxes and self.packages.state()[0] is PackageState.READY:
            self._boxes.prepare()

    async def end(self) -> None:
        await asyncio.gather(*(self._end(each, "the sandbox was stopped") for each in list(self._sessions)))
        if self._boxes:
            await self._boxes.close()

    async def watch(self) -> None:
        while True:
            busy = any(session.is_busy for _, session in self._sessions.values())
            await asyncio.sleep((WHILE_BUSY if busy else WHILE_IDLE).total_seconds())
            self.prepare()
            await self._end_old_sessions()
            await self._end_what_uses_too_much()

    def _check_isolation(self) -> None:
        if self.isolation.refusal:
            raise SandboxRefused(self.isolation.refusal)

    def _found(self, session_id: str, generation: int) -> Session | None:
        newest, session = self._sessions.get(session_id, (None, None))
        return session if newest == generation and session and not session.has_ended else None

    async def _new(self, session_id: str, generation: int) -> Session:
        self._check_isolation()
        state, note = self.packages.state()
        match state:
            case PackageState.PREPARING:
                raise SandboxUnavailable(f"Not yet: {note}.", RETRY_WHILE_PREPARING)
            case PackageState.FAILED:
                raise SandboxUnavailable(f"The packages of the code interpreter could not be installed: {note}")
        if self._newest.get(session_id, -1) >= generation:
            raise SessionGone("This generation of the session has ended, or a newer one has replaced it.")
        await self._end(session_id, "a newer session has replaced it")
        await self._make_room()
        assert self._boxes is not None  # noqa: S101 - as code can run
        assert self._place is not None  # noqa: S101
        session = Session(self._boxes, self.limits, self._place.images, self._at_once)
        self._sessions[session_id] = generation, session
        self._newest.pop(session_id, None)
        self._newest[session_id] = generation
        if len(self._newest) > MAX_REMEMBERED_GENERATIONS:
            del self._newest[next(iter(self._newest))]
        return session

    async def _make_room(self) -> None:
        if len(self._sessions) >= self.limits.sessions and not await self._end_longest_idle("others needed its place"):
            raise SandboxUnavailable("As many sessions as the sandbox may have run code at this moment.")

    async def _end_longest_idle(self, reason: str) -> bool:
        idle = [(session.used_at, each) for each, (_, session) in self._sessions.items() if not session.is_wanted]
        if not idle:
            return False
        await self._end(min(idle)[1], reason)
        return True

    async def _end(self, session_id: str, reason: str) -> None:
        if found := self._sessions.pop(session_id, None):
            log.info("sandbox.session_ended", session=session_id, generation=found[0], reason=reason)
            await found[1].close(reason)

    async def _end_old_sessions(self) -> None:
        now = time.monotonic()
        for session_id, (_, session) in list(self._sessions.items()):
            if session.is_busy:
                continue
            if session.has_ended:
                await self._end(session_id, "its files took too much")
            elif session.is_wanted:
                continue
            elif now - session.opened_at > self.limits.lifetime.total_seconds():
                await self._end(session_id, "its time was over")
            elif now - session.used_at > self.limits.idle.total_seconds():
                await self._end(session_id, "it was idle")
        await self._make_free()

    async def _make_free(self) -> None:
        if memory_is_short():
            await self._end_longest_idle("the machine is short of memory")
        while self._place and disk_is_full(self._place.sessions):
            if not await self._end_longest_idle("the disk of the sandbox is full"):
                return

    async def _end_what_uses_too_much(self) -> None:
        sessions = {
            Watched(session.box.pid, session.folder.path, None if session.is_busy else session.cpu_when_idle): session
            for _, session in self._sessions.values()
            if session.box and session.box.is_alive
        }
        usages = await asyncio.to_thread(measure, list(sessions), self.limits)
        for watched, session in sessions.items():
            await self._judge(watched, session, usages[watched.root])

    async def _judge(self, watched: Watched, session: Session, usage: Usage) -> None:
        if not session.is_busy and session.cpu_when_idle is None:
            session.cpu_when_idle = usage.cpu
        used = await asyncio.to_thread(session.folder.used)
        words = complaint(usage, used, watched, self.limits)
        # Not the session's own folder, which may be gone by now.
        if not words and session.is_busy and self._place and disk_is_full(self._place.sessions):
            words = "the disk of the sandbox is full"
        if words and session.box and session.box.pid == watched.root:
            log.warning("sandbox.box_killed", reason=words)
            session.box.kill(words)


@asynccontextmanager
async def open_sandbox(settings: Settings) -> AsyncIterator[Sandbox]:
    """The sandbox of this process, while the block runs; one that refuses to run code, where it cannot be kept in."""
    limits, interpreter = Limits.of(settings), find_interpreter()
    packages = Packages.of(interpreter, settings.sandbox_packages, settings.sandbox_packages_dir)
    try:
        filter_program()
        program = find_program()
    except (BubblewrapMissing, UnknownMachine) as error:
        yield Sandbox(limits, packages, refused(str(error)), None, None)
        return
    with run_folder(settings.sandbox_dir, program) as place:
        plan = BoxPlan(place.program, interpreter, place.inside, limits, BOX_USER if runs_as_root() else None)
        boxes = Boxes(plan, packages, place.sessions)
        isolation = await probe(plan, boxes)
        sandbox = Sandbox(limits, packages, isolation, place, boxes if isolation.name else None)
        async with _watched(sandbox):
            yield sandbox


@asynccontextmanager
async def _watched(sandbox: Sandbox) -> AsyncIterator[None]:
    sandbox.prepare()
    try:
        async with beside(sandbox.watch()):
            yield
    finally:
        await sandbox.end()
