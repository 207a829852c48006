"""Gathers small chunks into pieces that are worth a hop to a thread."""

from collections.abc import AsyncGenerator, AsyncIterable

PIECE_BYTES = 512 * 1024


async def in_pieces(content: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of `PIECE_BYTES` or a little more, the last one smaller. None is empty."""
    gathered: list[bytes] = []
    size = 0
    async for chunk in content:
        gathered.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)
