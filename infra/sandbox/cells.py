"""The outputs of a cell, kept for every reader from the first one on."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from infra.sandbox.bounded_text import BoundedText
from infra.sandbox.errors import CellUnknown
from infra.sandbox.folder import Changes
from infra.sandbox.limits import MAX_IMAGE_BYTES, MAX_IMAGES, MAX_OUTPUT_BYTES
from models.code_cells import CellDone, CellImage, CellOutput, CellText

TEXT_EVERY_SECONDS = 0.02
"""Pieces of text that come closer together are one output."""

MAX_BYTES_OF_IMAGES = 4 * MAX_IMAGE_BYTES
TOO_MANY_IMAGES = "\n[… more images are left out: a cell shows at most 20, of 32 MB together …]\n"


class Cell:
    """`images` is a folder that the code cannot reach."""

    def __init__(self, call_id: str, images: Path) -> None:
        self.call_id = call_id
        self.interrupted = asyncio.Event()
        self.changes = Changes()
        self.ended_at = 0.0
        self._images = images
        self._name = secrets.token_hex(8)
        self._image_sizes: list[int] = []
        self._left_out_images = False
        self._text = BoundedText(MAX_OUTPUT_BYTES)
        self._fresh: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._outputs: list[CellOutput] = []
        self._news = asyncio.Event()

    @property
    def is_done(self) -> bool:
        return bool(self._outputs) and isinstance(self._outputs[-1], CellDone)

    @property
    def left_out_bytes(self) -> int:
        return self._text.left_out

    async def read(self) -> AsyncGenerator[CellOutput, None]:
        """All outputs, those to come as well; the last one is a `CellDone`."""
        number = 0
        while True:
            news = self._news
            for output in self._outputs[number:]:
                yield output
                number += 1
                if isinstance(output, CellDone):
                    return
            if number == len(self._outputs):
                await news.wait()

    def add_text(self, content: bytes) -> None:
        if shown := self._text.add(content):
            self._fresh.append(shown)
            self._timer = self._timer or asyncio.get_running_loop().call_later(TEXT_EVERY_SECONDS, self._show_text)

    def add_image(self, png: bytes) -> None:
        self._show_text()
        if len(self._image_sizes) >= MAX_IMAGES or sum(self._image_sizes) + len(png) > MAX_BYTES_OF_IMAGES:
            if not self._left_out_images:
                self._put(CellText(TOO_MANY_IMAGES))
            self._left_out_images = True
            return
        number = len(self._image_sizes)
        self._path(number).write_bytes(png)
        self._image_sizes.append(len(png))
        self._put(CellImage(number, len(png)))

    def image(self, number: int) -> Path:
        """Raises `CellUnknown`."""
        if not 0 <= number < len(self._image_sizes):
            raise CellUnknown("The cell has no such image.")
        return self._path(number)

    def end_text(self) -> None:
        self._fresh.append(self._text.end())
        self._show_text()

    def finish(self, done: CellDone) -> None:
        self.ended_at = time.monotonic()
        self._put(done)

    def forget_images(self) -> None:
        for number in range(len(self._image_sizes)):
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._images / f"{self._name}-{number}.png"

    def _show_text(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if text := "".join(self._fresh):
            self._put(CellText(text))
        self._fresh.clear()

    def _put(self, output: CellOutput) -> None:
        self._outputs.append(output)
        self._news.set()
        self._news = asyncio.Event()
