"""One box: a Python in a cell of namespaces, the pipes to it, and its end."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from asyncio import StreamReader
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from infra.background import together
from infra.sandbox import bubblewrap
from infra.sandbox.bubblewrap import Interpreter
from infra.sandbox.command_pipe import CommandPipe
from infra.sandbox.frames import CELL, INTERRUPT, BadFrame, Done, Image, Ready, frame, read_frame
from infra.sandbox.limits import Limits
from infra.sandbox.seccomp import filter_program

BOX_USER = 61234
"""User and group of the boxes of a server that runs as root: the limit of processes binds every user but root."""

START_SECONDS = 60
READ_BYTES = 64 * 1024


class BoxDied(Exception):
    """The box has ended. `reason` says why, as a part of a sentence; `said` is what it last wrote."""

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.said = said


@dataclass(frozen=True, slots=True)
class BoxPlan:
    """What all boxes of a sandbox have in common. `user` is the one that they run as; None for the server's."""

    program: Path
    interpreter: Interpreter
    inside: Path
    limits: Limits
    user: int | None


class Box:
    """Started on the main thread: bubblewrap's tie to its parent is one to the thread that started it."""

    def __init__(self, plan: BoxPlan, data: Path, packages: Path | None, modules: tuple[str, ...] = ()) -> None:
        self.data = data
        self.killed_for = ""
        commands, self._commands = os.pipe()
        self._frames_end, frames = os.pipe()
        self._output_end, output = os.pipe()
        filtering = _memory_file(filter_program())
        kernel = (str(commands), str(frames), json.dumps(plan.limits.of_processes()))
        packages_inside = bubblewrap.PACKAGES if packages else ""
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    *bubblewrap.command(plan.program, plan.interpreter, plan.inside, data, packages, filtering),
                    *(*kernel, packages_inside, ",".join(modules)),
                ],
                # bubblewrap itself is process 1 of the box, whose environment the code can read.
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(commands, frames, filtering),
                start_new_session=True,
                user=plan.user,
                group=plan.user,
                extra_groups=None if plan.user is None else [],
            )
        finally:
            for descriptor in (commands, frames, output, filtering):
                os.close(descriptor)
        self.pid = self._process.pid
        self._pending = b""

    async def ready(self) -> None:
        """Return when it takes cells. Raises `BoxDied`."""
        self._frames = await _reader(self._frames_end)
        self._output = await _reader(self._output_end)
        self._cells = await CommandPipe.open(self._commands)
        try:
            async with asyncio.timeout(START_SECONDS):
                if not isinstance(await read_frame(self._frames), Ready):
                    raise BadFrame
        except (EOFError, BadFrame, TimeoutError) as error:
            self.kill("its Python did not start")
            raise BoxDied(self.killed_for, await self._last_words()) from error

    async def run(
        self, number: int, code: str, on_text: Callable[[bytes], None], on_image: Callable[[bytes], None]
    ) -> Done:
        """Run a cell to its end. Raises `BoxDied`."""
        mark = f"\0\1{secrets.token_hex(16)}\0"
        ended: list[Done] = []
        try:
            await together(
                self._cells.send(frame(CELL, {"number": number, "code": code, "mark": mark})),
                self._pass_on_text(mark.encode(), on_text),
                self._pass_on_images(on_image, ended.append),
            )
        except (EOFError, OSError, BadFrame) as error:
            if isinstance(error, BadFrame):
                self.kill("the code wrote to the channel between the sandbox and its Python")
            reason = self.killed_for or await self._how_it_ended()
            self.kill(reason)
            raise BoxDied(reason) from error
        return ended[0]

    @property
    def is_alive(self) -> bool:
        return not self.killed_for and self._process.poll() is None

    def interrupt(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._cells.write(frame(INTERRUPT, number))

    def kill(self, reason: str) -> None:
        """End all its processes. The first reason counts."""
        self.killed_for = self.killed_for or reason
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Return when no process of it is left, after `kill`."""
        await self._process_end(timedelta.max)
        if hasattr(self, "_cells"):
            self._cells.close()
        # The end of process 1 of the box takes the others along; the last of them holds the output open.
        with contextlib.suppress(TimeoutError, AttributeError):
            async with asyncio.timeout(START_SECONDS):
                while await self._output.read(READ_BYTES):
                    pass

    async def _pass_on_text(self, mark: bytes, on_text: Callable[[bytes], None]) -> None:
        text, self._pending = self._pending, b""
        while (end := text.find(mark)) < 0:
            held = _length_of_beginning(mark, text)
            on_text(text[: len(text) - held])
            read = await self._output.read(READ_BYTES)
            if not read:
                on_text(text[len(text) - held :])
                raise EOFError
            text = text[len(text) - held :] + read
        on_text(text[:end])
        self._pending = text[end + len(mark) :]

    async def _pass_on_images(self, on_image: Callable[[bytes], None], on_end: Callable[[Done], None]) -> None:
        while not isinstance(received := await read_frame(self._frames), Done):
            if not isinstance(received, Image):
                raise BadFrame
            on_image(received.png)
        on_end(received)

    async def _last_words(self) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                return (await self._output.read(4096)).decode("utf-8", "replace").strip()
        return ""

    async def _how_it_ended(self) -> str:
        code = await self._process_end(timedelta(seconds=1))
        if code is None:
            return "its Python closed its output"
        # Of the program in it: bubblewrap adds 128 to the signal.
        return f"its Python was ended by signal {code - 128}" if code > 128 else f"its Python ended with code {code}"

    async def _process_end(self, patience: timedelta) -> int | None:
        """The exit code; None where it has not ended in time."""
        deadline = time.monotonic() + patience.total_seconds()
        while (code := self._process.poll()) is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return code


async def _reader(descriptor: int) -> StreamReader:
    reader = StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb", 0))
    return reader


def _length_of_beginning(mark: bytes, text: bytes) -> int:
    """How much of the end of `text` may be the beginning of `mark`."""
    return next((size for size in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:size])), 0)


def _memory_file(content: bytes) -> int:
    descriptor = os.memfd_create("filter")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
