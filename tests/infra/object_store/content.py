"""Content to store, as a client sends it: in chunks."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable

from infra.ports import ObjectStore

CHUNK_BYTES = 64 * 1024
# More than a part of S3, so that it takes two of them and an unfinished one.
LARGE_BYTES = 12 * 1024 * 1024 + 17


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def chunks(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


async def broken(content: bytes, error: BaseException) -> AsyncGenerator[bytes, None]:
    async for chunk in chunks(content):
        yield chunk
    raise error


async def stalled(content: bytes, reached: asyncio.Event) -> AsyncGenerator[bytes, None]:
    """Sets `reached` after the last byte, and never ends."""
    async for chunk in chunks(content):
        yield chunk
    reached.set()
    await asyncio.Event().wait()


async def read(source: AsyncIterable[bytes]) -> bytes:
    return b"".join([piece async for piece in source])


async def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [each.key for each in await store.list_page(prefix, 1000) if each.key.startswith(prefix)]
