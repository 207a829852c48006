"""Files in a running Holdfast, put where uploads put them."""

from collections.abc import AsyncIterator

from infra.database import files
from infra.database.files import StoredFile
from infra.resources import Resources
from models.files import Purpose
from models.ids import new_file_id
from models.stored_objects import KeyPrefix, object_key

DEFAULT_PROJECT = "default"


async def store_file(
    resources: Resources, content: bytes | str, filename: str = "notes.md", project: str = DEFAULT_PROJECT
) -> str:
    """Returns its id."""
    encoded = content.encode() if isinstance(content, str) else content
    file_id = new_file_id()

    async def pieces() -> AsyncIterator[bytes]:
        yield encoded

    await resources.object_store.put(object_key(KeyPrefix.FILE, file_id), pieces())
    stored = StoredFile(file_id, filename, Purpose.ASSISTANTS, len(encoded))
    await resources.database.write(files.create, project, stored)
    return file_id
