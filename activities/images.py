"""The images in a prompt that are files: read from the object store, and sent to the model as data.

Not with a link: few providers can reach this server, and none has a key.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from infra.database import files
from infra.database.engine import Database
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from models.attachments import MAX_IMAGE_BYTES
from models.files import File, FileStatus, data_url
from models.language_model import ImagePart, TextPart
from models.messages import ImageFile
from models.stored_objects import KeyPrefix, object_key

MAX_IMAGES = 20
MAX_BYTES = MAX_IMAGE_BYTES
"""Of all images of a prompt together. The prompt is in memory as long as the model answers."""

MAX_BYTES_AT_A_TIME = 5 * MAX_BYTES
"""Of all prompts of a worker. As data in a request they take about four times as much memory."""

_MEDIA_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Images:
    """The images of all prompts of a worker. Where they would be too large together, prompts wait for others."""

    def __init__(self, database: Database, object_store: ObjectStore) -> None:
        self._database = database
        self._object_store = object_store
        self._free = MAX_BYTES_AT_A_TIME
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def waiting(self) -> int:
        """How many prompts wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def of_prompt(self, project_id: str) -> AsyncIterator["PromptImages"]:
        """Images of the project alone. The block lasts as long as the prompt is in memory."""
        images = PromptImages(self, project_id)
        try:
            yield images
        finally:
            # Without an await, which a cancel could break off.
            self._free += images.reserved
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)

    async def find(self, project_id: str, file_ids: Sequence[str]) -> Mapping[str, File]:
        return await self._database.read(files.find, project_id, file_ids) if file_ids else {}

    async def reserve(self, size: int) -> None:
        while size > self._free:
            freed = asyncio.get_running_loop().create_future()
            self._waiting.append(freed)
            await freed
        self._free -= size

    async def read(self, file: File) -> bytes:
        """Raises `ObjectMissing`, `ObjectStoreUnavailable`."""
        pieces = self._object_store.get(object_key(KeyPrefix.FILE, file.id))
        return b"".join([piece async for piece in pieces])


class PromptImages:
    """Reads the images of one prompt, within limits. What cannot be shown is said to the model."""

    def __init__(self, images: Images, project_id: str) -> None:
        self.reserved = 0
        self._images = images
        self._project_id = project_id
        self._found: Mapping[str, File] = {}
        # A shortened prompt is made while the one before it is still there: both have the same URLs.
        self._urls: dict[str, str] = {}
        self._shown = 0
        self._bytes = 0

    async def find(self, wanted: Sequence[ImageFile]) -> None:
        """Reserve memory for the images that `part` will be asked for. Call it again only for fewer of them."""
        self._found = await self._images.find(self._project_id, [image.file_id for image in wanted])
        self._shown = self._bytes = 0
        sizes = [self._found[image.file_id].bytes for image in wanted if image.file_id in self._found]
        more = min(sum(sizes), MAX_BYTES) - self.reserved
        if more > 0:
            await self._images.reserve(more)
            self.reserved += more

    async def part(self, image: ImageFile) -> ImagePart | TextPart:
        """Ask for the newest first: the older ones are left out. Raises `ObjectStoreUnavailable`: outages pass."""
        file = self._found.get(image.file_id)
        if file is None or file.status is FileStatus.ERROR:
            return _said(image, "the file was deleted" if file is None else "the file's content is missing")
        if file.bytes > MAX_IMAGE_BYTES:
            return _said(image, f"the file has {file.bytes} bytes, and an image at most {MAX_IMAGE_BYTES}")
        if self._shown == MAX_IMAGES or self._bytes + file.bytes > MAX_BYTES:
            return _said(image, "there are too many newer images in the conversation")
        try:
            url = self._urls.get(file.id) or await self._read(file)
        except ObjectMissing:
            return _said(image, "the file's content is missing")
        if url is None:
            return _said(image, "the file is not a PNG, JPEG, GIF or WebP image")
        self._urls[file.id] = url
        self._shown += 1
        self._bytes += file.bytes
        return ImagePart(url, image.detail)

    async def _read(self, file: File) -> str | None:
        """The image as a `data:` URL; None if models do not take its kind."""
        content = await self._images.read(file)
        media_type = media_type_of(content)
        # In a thread: of megabytes it takes a while.
        return media_type and await asyncio.to_thread(data_url, content, media_type)


def media_type_of(content: bytes) -> str | None:
    """By the first bytes: names and types that clients give are often wrong. None: no image that models take."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _MEDIA_TYPES if content.startswith(magic)), None)


def _said(image: ImageFile, reason: str) -> TextPart:
    return TextPart(f"[The image {image.file_id} is not shown: {reason}.]")
