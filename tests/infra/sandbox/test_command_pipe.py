"""Writing to a box that has ended, on the event loop of the sandbox."""

import asyncio
import os

import pytest
import uvloop

from infra.sandbox.command_pipe import CommandPipe


def test_pipe_whose_reader_is_gone_is_broken() -> None:
    async def writes() -> None:
        received, sent = os.pipe()
        pipe = await CommandPipe.open(sent)
        await pipe.send(b"cell")
        assert os.read(received, 4) == b"cell"
        os.close(received)

        async with asyncio.timeout(30):
            with pytest.raises(ConnectionError):
                await _write_for_ever(pipe)
        with pytest.raises(BrokenPipeError):
            pipe.write(b"interrupt")
        pipe.close()

    uvloop.run(writes())


async def _write_for_ever(pipe: CommandPipe) -> None:
    while True:
        await pipe.send(b"cell")
        await asyncio.sleep(0)
