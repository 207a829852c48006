"""What a cell leaves behind, stored: its images as files, and the files that it changed. Objects first, then rows."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from infra.database import files, sandbox_files
from infra.database.files import StoredFile
from infra.database.sandbox_files import KeptFile
from infra.ports import CodeSandbox, ObjectStore
from infra.sandbox.errors import SandboxFileMissing
from models.code_cells import CellImage, SandboxFile, SandboxSession
from models.files import Purpose
from models.ids import Prefix, new_file_id, new_id
from models.stored_objects import KeyPrefix, object_key


@dataclass(frozen=True)
class StoredOutputs:
    """Objects that have no rows yet."""

    images: Sequence[StoredFile] = ()
    changed: Sequence[KeptFile] = ()
    removed: Sequence[str] = ()

    def store(self, connection: Connection, project_id: str, thread_id: str) -> None:
        for image in self.images:
            files.create(connection, project_id, image)
        sandbox_files.replace(connection, project_id, thread_id, self.changed, self.removed)


@dataclass(frozen=True)
class CodeOutputs:
    sandbox: CodeSandbox
    object_store: ObjectStore

    async def image(self, session: SandboxSession, call_id: str, image: CellImage) -> StoredFile:
        """Raises `SessionGone`, `CellUnknown`, `SandboxUnavailable`, `ObjectStoreUnavailable`."""
        file_id = new_file_id()
        content = self.sandbox.image(session, call_id, image.number)
        size = await self.object_store.put(object_key(KeyPrefix.FILE, file_id), content)
        return StoredFile(file_id, f"{file_id}.png", Purpose.ASSISTANTS_OUTPUT, size)

    async def changed(self, session: SandboxSession, found: Sequence[SandboxFile]) -> Sequence[KeptFile]:
        """Those of the files that are still there. Raises `SessionGone` and outages."""
        kept = []
        for file in found:
            # Threads that code has started may go on after the cell.
            with suppress(SandboxFileMissing):
                kept.append(await self._kept(session, file))
        return kept

    async def _kept(self, session: SandboxSession, file: SandboxFile) -> KeptFile:
        object_id, digest = new_id(Prefix.SANDBOX_FILE), hashlib.sha256()

        async def content() -> AsyncGenerator[bytes, None]:
            async for piece in self.sandbox.fetch(session, file.name):
                digest.update(piece)
                yield piece

        size = await self.object_store.put(object_key(KeyPrefix.SANDBOX_FILE, object_id), content())
        return KeptFile(file.name, object_id, size, digest.hexdigest())
