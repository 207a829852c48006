"""Starts boxes, and has one of each kind started in advance: a bare one, and one with the great libraries imported."""

import asyncio
import re
import secrets
from contextlib import suppress
from pathlib import Path

from infra.sandbox.box import Box, BoxDied, BoxPlan
from infra.sandbox.folder import Folder
from infra.sandbox.packages import Packages
from infra.sandbox.removed_folder import remove_folder

IMPORTED = ("numpy", "pandas", "matplotlib.pyplot")
NEEDS_IMPORTED = re.compile(r"\b(numpy|pandas|matplotlib|seaborn|plt|np|pd)\b")
"""Code that has one of these words begins in the box that costs 80 MB more and is a second ahead."""


class Boxes:
    """Call it on the main thread only. `parent` is the folder that theirs are made in."""

    def __init__(self, plan: BoxPlan, packages: Packages, parent: Path) -> None:
        self._plan = plan
        self._packages = packages
        self._parent = parent
        self._waiting: dict[bool, asyncio.Task[Box]] = {}

    def prepare(self) -> None:
        """Start what is started in advance, if it is not."""
        for with_imports in (False, True):
            if with_imports not in self._waiting:
                self._waiting[with_imports] = asyncio.create_task(self._start(with_imports))

    async def take(self, code: str) -> Box:
        """A box that has run nothing yet, for a session that begins with `code`. Raises `BoxDied`."""
        with_imports = bool(NEEDS_IMPORTED.search(code))
        waiting = self._waiting.pop(with_imports, None)
        box = await self._alive(waiting) if waiting else None
        box = box or await self._start(with_imports)
        self.prepare()
        return box

    def new_folder(self) -> Folder:
        """An empty one, that only the user of the boxes can enter."""
        user = self._plan.user
        path = self._parent / secrets.token_hex(8)
        path.mkdir(mode=0o700)
        folder = Folder(path, user)
        folder.give_to_owner()
        return folder

    async def close(self) -> None:
        waiting, self._waiting = list(self._waiting.values()), {}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in waiting:
            if not task.cancelled() and not task.exception():
                await self.discard(task.result())

    async def discard(self, box: Box) -> None:
        """End the box, and its folder."""
        box.kill("the session was closed")
        await box.gone()
        await asyncio.to_thread(remove_folder, box.data)

    async def _alive(self, waiting: asyncio.Task[Box]) -> Box | None:
        with suppress(BoxDied):
            box = await asyncio.shield(waiting)
            if box.is_alive:
                return box
            await self.discard(box)
        return None

    async def _start(self, with_imports: bool) -> Box:
        folder = self.new_folder().path
        packages = self._packages.folder if self._packages.folder.is_dir() else None
        box = Box(self._plan, folder, packages, IMPORTED if with_imports and packages else ())
        try:
            await box.ready()
        except BaseException:
            await asyncio.shield(self.discard(box))
            raise
        return box
