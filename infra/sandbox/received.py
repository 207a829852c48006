"""A file that is put into a session: it is nowhere until it is whole and has the hash that was said."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.sandbox.errors import SandboxFileRefused
from models.code_cells import SandboxFile


@asynccontextmanager
async def received(content: AsyncIterable[bytes], file: SandboxFile, folder: Path) -> AsyncIterator[Path]:
    """The file in `folder`, from where it may be moved away. Raises `SandboxFileRefused`."""
    path = folder / secrets.token_hex(8)
    try:
        await _store(content, file, path)
        path.chmod(0o644)
        yield path
    finally:
        path.unlink(missing_ok=True)


async def _store(content: AsyncIterable[bytes], file: SandboxFile, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as stored:
        async for part in content:
            size += len(part)
            if size > file.size:
                break
            digest.update(part)
            await asyncio.to_thread(stored.write, part)
    if size != file.size or digest.hexdigest() != file.sha256:
        raise SandboxFileRefused(f"The content of {file.name} does not have the size and hash that were named.")
