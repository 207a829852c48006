"""The files that messages attach, by the tool of their thread that each is for, and the images that they show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.errors import InvalidRequest
from models.files import MEBIBYTE, File, Purpose
from models.messages import AttachmentFileSearch, CreateMessageRequest, ImageFileContent

MAX_INTERPRETER_FILES = 20
MAX_IMAGE_BYTES = 20 * MEBIBYTE
IMAGE_PURPOSES = (Purpose.VISION, Purpose.ASSISTANTS, Purpose.USER_DATA, Purpose.ASSISTANTS_OUTPUT)


class TooManyInterpreterFiles(InvalidRequest):
    """In the words for a list that is too long, because a client may have attached the files one by one."""

    def __init__(self, count: int) -> None:
        param = "tool_resources.code_interpreter.file_ids"
        super().__init__(
            f"Invalid '{param}': array too long. Expected an array with maximum length {MAX_INTERPRETER_FILES}, but "
            f"got an array with length {count} instead.",
            param,
            "array_above_max_length",
        )


class UnusableImage(InvalidRequest):
    @classmethod
    def of_purpose(cls, file: File) -> "UnusableImage":
        supported = ", ".join(f"'{purpose}'" for purpose in IMAGE_PURPOSES)
        return cls._because(file, f"its purpose is '{file.purpose}'. Supported purposes are: {supported}.")

    @classmethod
    def of_size(cls, file: File) -> "UnusableImage":
        return cls._because(file, f"it has {file.bytes} bytes. An image has at most {MAX_IMAGE_BYTES}.")

    @classmethod
    def _because(cls, file: File, reason: str) -> "UnusableImage":
        return cls(f"The file {file.id} cannot be shown as an image: {reason}", "content", "invalid_image")


@dataclass(frozen=True)
class AttachedFiles:
    """Ids, each once, in the order of the messages. `every` are also those that are for no tool.

    `for_interpreter_at_last` is `for_interpreter` in the order in which each file is attached for the last time.
    """

    every: Sequence[str]
    for_search: Sequence[str]
    for_interpreter: Sequence[str]
    for_interpreter_at_last: Sequence[str]

    @classmethod
    def of(cls, bodies: Sequence[CreateMessageRequest]) -> "AttachedFiles":
        every = dict.fromkeys(attachment.file_id for body in bodies for attachment in body.attachments or ())
        asked = [
            (isinstance(tool, AttachmentFileSearch), attachment.file_id)
            for body in bodies
            for attachment in body.attachments or ()
            for tool in attachment.tools
        ]
        searched = dict.fromkeys(file_id for is_search, file_id in asked if is_search)
        interpreted = [file_id for is_search, file_id in asked if not is_search]
        at_last = [*dict.fromkeys(reversed(interpreted))][::-1]
        return cls(list(every), list(searched), list(dict.fromkeys(interpreted)), at_last)


def image_ids(bodies: Iterable[CreateMessageRequest]) -> Sequence[str]:
    """The files that messages show as images, each once."""
    parts = [part for body in bodies if not isinstance(body.content, str) for part in body.content]
    return list(dict.fromkeys(part.image_file.file_id for part in parts if isinstance(part, ImageFileContent)))


def check_image(file: File) -> None:
    """Raises `UnusableImage`. The kind of image is in its first bytes: see `activities/images.py`."""
    if file.purpose not in IMAGE_PURPOSES:
        raise UnusableImage.of_purpose(file)
    if file.bytes > MAX_IMAGE_BYTES:
        raise UnusableImage.of_size(file)
