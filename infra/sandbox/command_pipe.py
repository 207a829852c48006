"""The pipe by which a box gets its cells."""

import asyncio
import os
from asyncio import StreamWriter


class CommandPipe:
    """Both ways to write raise `OSError` once the reader has gone: uvloop closes the pipe then, and raises others."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer

    @classmethod
    async def open(cls, descriptor: int) -> "CommandPipe":
        loop = asyncio.get_running_loop()
        transport, flow = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(descriptor, "wb", 0)
        )
        return cls(StreamWriter(transport, flow, None, loop))

    def write(self, content: bytes) -> None:
        if self._writer.is_closing():
            raise BrokenPipeError
        self._writer.write(content)

    async def send(self, content: bytes) -> None:
        """Return when the pipe can take more."""
        self.write(content)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()
