"""Ends the sandbox sessions of deleted threads."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from infra.clock import now_seconds
from infra.database import sandbox_sessions
from infra.database.engine import Database
from infra.ports import CodeSandbox
from infra.sandbox.errors import SandboxUnavailable
from models.code_cells import SandboxSession

SESSIONS_AT_A_TIME = 100
ROUNDS = 4
"""Of one sweep, each as long as a connection takes to fail, at most."""

FORGOTTEN_AFTER = timedelta(days=1)
"""A sandbox that does not answer for so long has ended its sessions, or is gone."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClosedSessions:
    database: Database
    sandbox: CodeSandbox | None

    async def end(self) -> int:
        """Returns how many were ended. Those of a sandbox that does not answer are left to the next sweep."""
        ended, silent = 0, set[str]()
        for _ in range(ROUNDS):
            found = await self.database.read(sandbox_sessions.closed, SESSIONS_AT_A_TIME, silent)
            places: dict[str, list[SandboxSession]] = {}
            for session in found:
                places.setdefault(session.place, []).append(session)
            counts = await asyncio.gather(*(self._end_those_of(each, silent) for each in places.values()))
            ended += sum(counts)
            # Sessions of one that is silent may stand before those of others.
            if len(found) < SESSIONS_AT_A_TIME or ended >= SESSIONS_AT_A_TIME:
                break
        before = int(now_seconds() - FORGOTTEN_AFTER.total_seconds())
        for place in silent:
            ended += await self.database.write(sandbox_sessions.forget_closed, place, before)
        return ended

    async def _end_those_of(self, sessions: Sequence[SandboxSession], silent: set[str]) -> int:
        """Of one place, until it does not answer: each would take the time-out of a connection."""
        for number, session in enumerate(sessions):
            try:
                if self.sandbox is not None:
                    await self.sandbox.close(session)
            except SandboxUnavailable as error:
                silent.add(session.place)
                log.warning("sandbox.session_not_closed", extra={"thread_id": session.id, "reason": str(error)})
                return number
            await self.database.write(sandbox_sessions.remove, session.id)
        return len(sessions)
