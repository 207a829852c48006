"""One session: its box, its folder, and its cells one after another."""

import asyncio
import contextlib
import time
from datetime import timedelta
from pathlib import Path

import structlog

from infra.sandbox.box import Box, BoxDied
from infra.sandbox.boxes import Boxes
from infra.sandbox.cells import Cell
from infra.sandbox.errors import CellUnknown, SessionGone
from infra.sandbox.folder import Changes
from infra.sandbox.frames import Done
from infra.sandbox.limits import INTERRUPT_GRACE, Limits
from infra.sandbox.removed_folder import remove_folder
from models.code_cells import CellDone, CellEnding, SessionFate

MAX_KEPT_CELLS = 16
"""Ended cells whose outputs are kept; the oldest ones are forgotten beyond them."""

KEPT_FOR_FILES = timedelta(minutes=2)
"""After a cell, for its images and files to be fetched, unless it is acknowledged before."""

CLOSED = "the session was closed"

log = structlog.get_logger()

NOTHING = Changes()


class Session:
    def __init__(self, boxes: Boxes, limits: Limits, images: Path, at_once: asyncio.Semaphore) -> None:
        self.folder = boxes.new_folder()
        self.box: Box | None = None
        self.opened_at = self.used_at = time.monotonic()
        self.has_ended = False
        self.cpu_when_idle: float | None = None
        self._boxes = boxes
        self._limits = limits
        self._images = images
        self._at_once = at_once
        self._cells: dict[str, Cell] = {}
        self._acknowledged: set[str] = set()
        self._turn = asyncio.Lock()
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        return bool(self._tasks)

    @property
    def is_wanted(self) -> bool:
        """Whether it has a cell that runs, or one that has ended and whose files may still be fetched."""
        since = time.monotonic() - KEPT_FOR_FILES.total_seconds()
        return self.is_busy or any(cell.is_done and cell.ended_at > since for cell in self._cells.values())

    @property
    def has_variables(self) -> bool:
        return self.box is not None and self.box.is_alive

    @property
    def calls(self) -> tuple[str, ...]:
        return tuple(self._cells)

    def run(self, call_id: str, code: str, time_limit: timedelta) -> Cell:
        """The cell of that id, which begins now or is known. Raises `CellUnknown` where it was acknowledged."""
        if call_id in self._acknowledged:
            raise CellUnknown("The outputs of this call were acknowledged.")
        if call_id not in self._cells:
            self._forget_oldest()
            cell = self._cells[call_id] = Cell(call_id, self._images)
            task = asyncio.create_task(self._carry_out(cell, code, min(time_limit, self._limits.cell)))
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._ended(done, cell))
        return self._cells[call_id]

    def cell(self, call_id: str) -> Cell:
        """Raises `CellUnknown`."""
        if call_id not in self._cells:
            raise CellUnknown("The session has no such call.")
        return self._cells[call_id]

    def interrupt(self, call_id: str) -> None:
        if cell := self._cells.get(call_id):
            cell.interrupted.set()

    def acknowledge(self, call_id: str) -> None:
        if (cell := self._cells.get(call_id)) and cell.is_done:
            self.folder.stored(cell.changes)
            self._forget(cell)

    async def close(self, reason: str) -> None:
        """End its cells, its processes and its folder. Readers of its cells read to their end."""
        self.has_ended = True
        if self.box:
            self.box.kill(reason)
        for cell in self._cells.values():
            cell.interrupted.set()
        if others := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(others)
        await self._discard()

    async def _discard(self) -> None:
        box, self.box = self.box, None
        if box:
            box.kill(CLOSED)
            await box.gone()
        for cell in self._cells.values():
            cell.forget_images()
        await asyncio.to_thread(remove_folder, self.folder.path)

    async def _carry_out(self, cell: Cell, code: str, limit: timedelta) -> None:
        async with self._turn, self._at_once:
            began = time.monotonic()
            ending, reason = await self._run(cell, code, limit)
            seconds = time.monotonic() - began
            fate, changes, complaint = await self._settle()
            if fate is SessionFate.ENDED and not reason:
                ending, reason = CellEnding.KILLED, _sentence(complaint)
            cell.end_text()
            cell.changes = changes
            self.used_at = time.monotonic()
            cell.finish(
                CellDone(
                    *(ending, fate, seconds, reason),
                    changed=changes.changed,
                    removed=changes.removed,
                    skipped=changes.skipped,
                    left_out_bytes=cell.left_out_bytes,
                )
            )

    def _ended(self, task: asyncio.Task[None], cell: Cell) -> None:
        self._tasks.discard(task)
        if not cell.is_done:
            # Its readers would wait for good.
            cell.finish(CellDone(CellEnding.KILLED, SessionFate.RESTARTED, 0, "The sandbox failed to run the code."))
            error = None if task.cancelled() else task.exception()
            log.error("sandbox.cell_failed", exc_info=error)

    async def _run(self, cell: Cell, code: str, limit: timedelta) -> tuple[CellEnding, str]:
        if cell.interrupted.is_set():
            return CellEnding.INTERRUPTED, "The call was interrupted before it began."
        try:
            box = await self._box_for(code)
            self._number += 1
            work = asyncio.create_task(box.run(self._number, code, cell.add_text, cell.add_image))
            return await self._watched(work, box, cell, limit)
        except BoxDied as death:
            if death.said:
                log.error("sandbox.box_not_started", said=death.said)
            return CellEnding.KILLED, _sentence(death.reason)

    async def _watched(
        self, work: asyncio.Task[Done], box: Box, cell: Cell, limit: timedelta
    ) -> tuple[CellEnding, str]:
        asked = asyncio.create_task(cell.interrupted.wait())
        await asyncio.wait([work, asked], timeout=limit.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if work.done():
            return (CellEnding.RAISED if work.result().raised else CellEnding.COMPLETED), ""
        was_asked = cell.interrupted.is_set()
        cut = CellEnding.INTERRUPTED if was_asked else CellEnding.TIMED_OUT
        why = "The call was interrupted." if was_asked else f"The call took longer than {limit.total_seconds():g} s."
        box.interrupt(self._number)
        await asyncio.wait([work], timeout=INTERRUPT_GRACE.total_seconds())
        if not work.done():
            box.kill(why)
        with contextlib.suppress(BoxDied):
            await work
        return cut, why

    async def _box_for(self, code: str) -> Box:
        if self.box and not self.box.is_alive:
            await self.box.gone()
            self.box = None
        if not self.box:
            box = await self._boxes.take(code)
            if self.has_ended:
                await self._boxes.discard(box)
                raise BoxDied(CLOSED)
            await asyncio.to_thread(self.folder.move_to, box.data)
            self.box = box
        return self.box

    async def _settle(self) -> tuple[SessionFate, Changes, str]:
        """What is left of the session after a cell, what the cell changed in its folder, and why the session ended."""
        fate = SessionFate.KEPT
        if self.box is None or not self.box.is_alive:
            fate = SessionFate.RESTARTED
            if self.box:
                await self.box.gone()
            self.box = None
        complaint = self._limits.complaint_of_files(await asyncio.to_thread(self.folder.used))
        if self.has_ended or complaint:
            self.has_ended = True
            await self._discard()
            return SessionFate.ENDED, NOTHING, complaint or CLOSED
        self.cpu_when_idle = None
        return fate, await asyncio.to_thread(self.folder.changes), ""

    def _forget_oldest(self) -> None:
        ended = [call_id for call_id, cell in self._cells.items() if cell.is_done]
        for call_id in ended[: max(0, len(ended) - MAX_KEPT_CELLS + 1)]:
            # Its files are due in the next cell: they may not have been stored.
            self._forget(self._cells[call_id])

    def _forget(self, cell: Cell) -> None:
        cell.forget_images()
        del self._cells[cell.call_id]
        self._acknowledged.add(cell.call_id)


def gone() -> SessionGone:
    return SessionGone("The session is not here, or has ended.")


def _sentence(reason: str) -> str:
    return f"The session's process was ended: {reason}." if not reason.endswith(".") else reason
