"""Files of the project in a body of `/chat/completions`: contents take the place of ids that no provider knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from infra.database import files
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from infra.resources import Resources
from models.chat_completions import CreateChatCompletionRequest
from models.chat_messages import FileInput, UserMessage
from models.fields_of_messages import part_field
from models.file_errors import ContentLost, FileTooLarge
from models.files import MEBIBYTE, File, data_url, media_type_of
from models.stored_objects import KeyPrefix, object_key

MAX_BYTES = 20 * MEBIBYTE
"""Of all files of a body together. They are in memory as long as the model answers."""

UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class _Named:
    """A part that names a file at `field`."""

    part: FileInput
    file_id: str
    field: str


async def insert_contents(body: CreateChatCompletionRequest, resources: Resources, project: str) -> None:
    """Other ids stay: they may be the provider's. Raises `FileTooLarge`, `ContentLost`, `ObjectStoreUnavailable`."""
    named = list(_named(body))
    if not named:
        return
    found = await resources.database.read(files.find, project, {each.file_id for each in named})
    ours = [(each, found[each.file_id]) for each in named if each.file_id in found]
    size = 0
    for each, file in ours:
        size += file.bytes
        if size > MAX_BYTES:
            raise FileTooLarge(each.field, MAX_BYTES)
    # A body may name one file a thousand times.
    contents = {file.id: await _content(file, resources.object_store) for file in found.values()}
    for each, file in ours:
        each.part.file = contents[file.id]


def _named(body: CreateChatCompletionRequest) -> Iterator[_Named]:
    for index, message in enumerate(body.messages):
        if not isinstance(message, UserMessage) or isinstance(message.content, str):
            continue
        for at, part in enumerate(message.content):
            match part:
                case FileInput(file={"file_id": str(file_id), **others}) if all(
                    value is None for value in others.values()
                ):
                    yield _Named(part, file_id, f"{part_field(index, at)}.file.file_id")


async def _content(file: File, store: ObjectStore) -> dict[str, Any]:
    try:
        content = b"".join([piece async for piece in store.get(object_key(KeyPrefix.FILE, file.id))])
    except ObjectMissing as error:
        raise ContentLost(file.id) from error
    url = await to_thread.run_sync(data_url, content, media_type_of(file.filename) or UNKNOWN_TYPE)
    return {"filename": file.filename, "file_data": url}
