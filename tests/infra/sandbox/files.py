"""Contents of files for sessions."""

import hashlib
from collections.abc import AsyncIterator


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
