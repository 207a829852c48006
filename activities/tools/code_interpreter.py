"""The tool `code_interpreter`: runs the model's code in the session of the run's thread. A cell never runs twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from activities.tools.code_outputs import CodeOutputs, StoredOutputs
from activities.tools.code_sessions import CodeSessions, ReadySession
from infra.background import shielded_until_done
from infra.database import sandbox_sessions, tool_results
from infra.database.engine import Database
from infra.database.files import StoredFile
from infra.ports import CodeSandbox, ObjectStore, ResultWithRows, ToolScope
from infra.sandbox.errors import CellUnknown, SandboxError, SandboxRefused, SandboxUnavailable, SessionGone
from infra.tools.errors import ToolFailed, ToolUnavailable
from models.answers import PieceMender
from models.code_cells import CellDone, CellImage, CellText, SessionFate
from models.tool_calls import CodeCell, CodeRun, ServerResult, ToolCall
from models.tool_formats.code_interpreter import INVALID_ARGUMENTS, NO_SANDBOX
from models.written_code import runnable_code

SHOW_INTERVAL = timedelta(milliseconds=300)
"""Of the deltas of a cell's output; each is a commit."""

MAX_SHOWN_WHILE_RUNNING = 32_000
"""In characters. Clients get the rest of the output with the result."""

EARLIER_CALLS_INTERVAL = timedelta(milliseconds=100)
LEAST_TIME = timedelta(seconds=1)
CLOSED_TOO_EARLY = "The sandbox ended the output of the code too early."
LOST = (
    "[The session ended while this code ran. The code is not run again by itself: variables are gone, and files in "
    "/mnt/data are as they were before it.]\n"
)
RESTARTED = "Variables are gone, files in /mnt/data are kept."
ENDED = "Variables are gone, and so are the files that this code has made or changed."
NOT_KEPT = "[The session ended before the images and files of this code were stored: they are not kept.]\n"
SKIPPED = "[{name} is not kept: {reason}]\n"


@dataclass
class _Output:
    """What a cell has put out so far. `logs` are complete once it has ended."""

    cell: CodeCell
    pieces: list[str] = field(default_factory=list)
    images: list[CellImage] = field(default_factory=list)
    done: CellDone | None = None

    @property
    def logs(self) -> str:
        return self.cell.preface + "".join(self.pieces)


class WithoutSandbox:
    """In its place on a worker that has no sandbox."""

    async def run(self, call: ToolCall, scope: ToolScope) -> ServerResult:
        raise ToolFailed(NO_SANDBOX)


@dataclass(frozen=True)
class CodeInterpreter:
    database: Database
    object_store: ObjectStore
    sandbox: CodeSandbox

    async def run(self, call: ToolCall, scope: ToolScope) -> CodeRun | ResultWithRows:
        code = runnable_code(call.arguments)
        if code is None:
            raise ToolFailed(INVALID_ARGUMENTS)
        await self._earlier_calls(call, scope)
        try:
            return await self._run(call, code, scope)
        except SandboxRefused as error:
            raise ToolFailed(str(error)) from error
        except SandboxUnavailable as error:
            raise ToolUnavailable(str(error), error.retry_after) from error
        except SessionGone as error:
            # It ended while its files were put into it: the next attempt opens a newer one.
            raise ToolUnavailable(str(error)) from error

    async def _earlier_calls(self, call: ToolCall, scope: ToolScope) -> None:
        """Wait for them: cells of one answer follow each other as the model wrote them.

        The workflow runs them in this order. Here they can only meet where an operator resets or retries one by hand.
        """
        while True:
            if await self.database.read(tool_results.are_earlier_answered, call, scope.run.id):
                return
            await asyncio.sleep(EARLIER_CALLS_INTERVAL.total_seconds())

    async def _run(self, call: ToolCall, code: str, scope: ToolScope) -> CodeRun | ResultWithRows:
        ready = await CodeSessions(self.database, self.object_store, self.sandbox).ready(scope, call.id, call.cell)
        if ready is None:
            return await self._lost(call)
        cell = await self.database.write(
            sandbox_sessions.begin_cell, call.id, ready.session, ready.preface, ready.placed
        )
        if cell.generation != ready.session.generation:
            return await self._lost(call)
        output = _Output(cell)
        try:
            try:
                await self._read(call, code, scope, ready, output)
            except (SessionGone, CellUnknown):
                return await self._lost(call)
            return await self._result(call, scope, ready, output)
        except asyncio.CancelledError:
            await shielded_until_done(self._interrupt_unwanted(call, scope, ready))
            raise

    async def _read(self, call: ToolCall, code: str, scope: ToolScope, ready: ReadySession, output: _Output) -> None:
        """Run the cell, or join it, and read its output to the end."""
        mender = PieceMender()
        time_left = timedelta(seconds=(scope.run.expires_at or 0) - time.time())
        cell = self.sandbox.run(ready.session, call.id, code, max(time_left, LEAST_TIME))
        async with _showing(scope, output), aclosing(cell) as outputs:
            async for each in outputs:
                match each:
                    case CellText(text):
                        output.pieces.append(mender.mend(text))
                    case CellImage():
                        output.images.append(each)
                    case CellDone():
                        output.done = each
        output.pieces.append(mender.rest())

    async def _result(
        self, call: ToolCall, scope: ToolScope, ready: ReadySession, output: _Output
    ) -> CodeRun | ResultWithRows:
        done = output.done
        if done is None:
            raise SandboxUnavailable(CLOSED_TOO_EARLY)
        logs = _line(output.logs, _remarks(done))
        if done.fate is SessionFate.ENDED:
            return CodeRun(_line(logs, NOT_KEPT) if output.images else logs)
        try:
            kept = await self._outputs(call, ready, output.images, done)
        except (SessionGone, CellUnknown):
            return CodeRun(_line(logs, NOT_KEPT))

        def store(connection: Connection) -> None:
            kept.store(connection, scope.project_id, scope.run.thread_id)

        async def stored() -> None:
            # Otherwise they are kept until the session ends.
            with suppress(SandboxError):
                await self.sandbox.acknowledge(ready.session, call.id)

        return ResultWithRows(CodeRun(logs, _ids(kept.images)), store, stored)

    async def _outputs(
        self, call: ToolCall, ready: ReadySession, images: Sequence[CellImage], done: CellDone
    ) -> StoredOutputs:
        outputs = CodeOutputs(self.sandbox, self.object_store)
        shown = [await outputs.image(ready.session, call.id, image) for image in images]
        return StoredOutputs(shown, await outputs.changed(ready.session, done.changed), done.removed)

    async def _lost(self, call: ToolCall) -> CodeRun:
        """What was shown of the cell, and that nothing more is known of it."""
        cell = await self.database.read(sandbox_sessions.cell_of, call.id)
        return CodeRun(_line(cell.logs if cell else "", LOST))

    async def _interrupt_unwanted(self, call: ToolCall, scope: ToolScope, ready: ReadySession) -> None:
        """End the cell, unless the call goes on: on another worker, where this one stops or is superseded."""
        if not await self.database.read(tool_results.is_wanted, scope.run.id, call.turn):
            with suppress(SandboxError):
                await self.sandbox.interrupt(ready.session, call.id)


@asynccontextmanager
async def _showing(scope: ToolScope, output: _Output) -> AsyncIterator[None]:
    """Show the logs of the block at intervals. Raises what showing them raised."""
    ended = asyncio.Event()

    async def show() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), SHOW_INTERVAL.total_seconds())
                return
            if logs := output.logs[:MAX_SHOWN_WHILE_RUNNING]:
                await scope.show(logs)

    showing = asyncio.create_task(show())
    try:
        yield
    finally:
        # Not cancelled: a commit is followed by its events.
        ended.set()
        await asyncio.wait([showing])
    showing.result()


def _remarks(done: CellDone) -> str:
    after = {SessionFate.RESTARTED: RESTARTED, SessionFate.ENDED: ENDED}.get(done.fate, "")
    ended = " ".join(filter(None, (done.reason, after)))
    skipped = "".join(SKIPPED.format(name=each.name, reason=each.reason) for each in done.skipped)
    return (f"[{ended}]\n" if ended else "") + skipped


def _line(logs: str, remark: str) -> str:
    """The remark on a line of its own."""
    return f"{logs}\n{remark}" if remark and logs and not logs.endswith("\n") else logs + remark


def _ids(images: Sequence[StoredFile]) -> tuple[str, ...]:
    return tuple(image.id for image in images)
