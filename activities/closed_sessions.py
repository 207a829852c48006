"""Ends the sandbox sessions of deleted threads."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from infra.clock import now_seconds
from infra.database import sandbox_sessions
from infra.database.engine import Database
from infra.database.sandbox_sessions import ClosedSession
from infra.ports import CodeSandbox
from infra.sandbox.errors import SandboxUnavailable

SESSIONS_AT_A_TIME = 100
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
        for closed in await self.database.read(sandbox_sessions.closed, SESSIONS_AT_A_TIME):
            if await self._is_ended(closed, silent):
                await self.database.write(sandbox_sessions.remove, closed.session.id)
                ended += 1
        return ended

    async def _is_ended(self, closed: ClosedSession, silent: set[str]) -> bool:
        if self.sandbox is None:
            return True
        # Each session of a sandbox that does not answer would take the time-out of a connection.
        if closed.session.place not in silent:
            try:
                await self.sandbox.close(closed.session)
            except SandboxUnavailable as error:
                silent.add(closed.session.place)
                log.warning("sandbox.session_not_closed", extra={"thread_id": closed.session.id, "reason": str(error)})
            else:
                return True
        return now_seconds() - closed.closed_at > FORGOTTEN_AFTER.total_seconds()
