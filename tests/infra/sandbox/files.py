"""Contents of files for sessions."""

import hashlib
from collections.abc import AsyncIterator

from models.code_cells import SandboxFile, SandboxSession
from tests.sandbox_process import RunningSandbox


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_of(name: str, content: bytes) -> SandboxFile:
    return SandboxFile(name, len(content), sha256(content))


async def fetched(sandbox: RunningSandbox, session: SandboxSession, name: str) -> bytes:
    return b"".join([part async for part in sandbox.client.fetch(session, name)])
