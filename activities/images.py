"""The images in a prompt that are files: read from the object store, and sent to the model as data.

Not with a link: few providers can reach this server, and none has a key.
"""

import asyncio
from base64 import b64encode
from dataclasses import dataclass

from infra.database import files
from infra.database.engine import Database
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from models.attachments import MAX_IMAGE_BYTES
from models.files import File, FileStatus
from models.language_model import ImagePart, TextPart
from models.messages import ImageFile
from models.stored_objects import KeyPrefix, object_key

MAX_IMAGES = 20
MAX_BYTES = MAX_IMAGE_BYTES
"""Of all images of a prompt together. The prompt is in memory as long as the model answers."""

_MEDIA_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass
class PromptImages:
    """Reads the images of one prompt, within limits. What cannot be shown is said to the model.

    Ask for the newest first: the older ones are left out.
    """

    database: Database
    object_store: ObjectStore
    project_id: str
    images: int = 0
    bytes: int = 0

    async def part(self, image: ImageFile) -> ImagePart | TextPart:
        """Raises `ObjectStoreUnavailable`: an outage passes, and then the image is there."""
        found = await self.database.read(files.find, self.project_id, [image.file_id])
        file = found.get(image.file_id)
        if file is None or file.status is FileStatus.ERROR:
            return _said(image, "the file was deleted" if file is None else "the file's content is missing")
        if file.bytes > MAX_IMAGE_BYTES:
            return _said(image, f"the file has {file.bytes} bytes, and an image at most {MAX_IMAGE_BYTES}")
        if self.images == MAX_IMAGES or self.bytes + file.bytes > MAX_BYTES:
            return _said(image, "there are too many newer images in the conversation")
        return await self._read(image, file)

    async def _read(self, image: ImageFile, file: File) -> ImagePart | TextPart:
        try:
            content = b"".join([piece async for piece in self.object_store.get(object_key(KeyPrefix.FILE, file.id))])
        except ObjectMissing:
            return _said(image, "the file's content is missing")
        media_type = media_type_of(content)
        if media_type is None:
            return _said(image, "the file is not a PNG, JPEG, GIF or WebP image")
        self.images += 1
        self.bytes += len(content)
        # In a thread: of megabytes it takes a while.
        return ImagePart(await asyncio.to_thread(_data_url, media_type, content), image.detail)


def media_type_of(content: bytes) -> str | None:
    """By the first bytes: names and types that clients give are often wrong. None: no image that models take."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _MEDIA_TYPES if content.startswith(magic)), None)


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode('ascii')}"


def _said(image: ImageFile, reason: str) -> TextPart:
    return TextPart(f"[The image {image.file_id} is not shown: {reason}.]")
