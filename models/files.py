"""Files: the wire object, its purposes, and what a client sends to make one."""

import re
from base64 import b64encode
from enum import StrEnum
from mimetypes import guess_type
from typing import Literal

from pydantic import Field

from models.wire import IdentifiedObject, RequestBody, WireObject

MEBIBYTE = 1024 * 1024
MAX_LISTED_FILES = 10_000
MAX_FILENAME_LENGTH = 512
NAMELESS = "upload"
MIN_EXPIRY_SECONDS = 3600
MAX_EXPIRY_SECONDS = 2_592_000
BATCH_EXPIRY_SECONDS = MAX_EXPIRY_SECONDS


def media_type_of(filename: str) -> str | None:
    """By its ending. Compressed files have none: it would be that of the content."""
    # As a path: mimetypes reads "data:text/html,a.pdf" as an address that names its type itself.
    media_type, compression = guess_type(f"./{filename}")
    return None if compression else media_type


def data_url(content: bytes, media_type: str) -> str:
    """For megabytes in a thread: it takes a while."""
    return f"data:{media_type};base64,{b64encode(content).decode('ascii')}"


class Purpose(StrEnum):
    FINE_TUNE = "fine-tune"
    ASSISTANTS = "assistants"
    BATCH = "batch"
    USER_DATA = "user_data"
    VISION = "vision"
    EVALS = "evals"
    # Of files that the server makes.
    ASSISTANTS_OUTPUT = "assistants_output"
    BATCH_OUTPUT = "batch_output"
    FINE_TUNE_RESULTS = "fine-tune-results"


UPLOAD_PURPOSES = (
    Purpose.FINE_TUNE,
    Purpose.ASSISTANTS,
    Purpose.BATCH,
    Purpose.USER_DATA,
    Purpose.VISION,
    Purpose.EVALS,
)
"""Those that a client may give, in the order in which OpenAI's error lists them."""


class FileStatus(StrEnum):
    PROCESSED = "processed"
    ERROR = "error"


class File(IdentifiedObject):
    object: Literal["file"] = "file"
    purpose: Purpose
    filename: str
    bytes: int
    created_at: int
    expires_at: int | None
    status: FileStatus
    status_details: str | None


class DeletedFile(WireObject):
    """Unlike those of all other objects it has no `.deleted`."""

    object: Literal["file"] = "file"
    deleted: bool = True
    id: str


class FileExpiry(RequestBody):
    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_EXPIRY_SECONDS, le=MAX_EXPIRY_SECONDS)


def expiry_of(purpose: Purpose, expiry: FileExpiry | None) -> int | None:
    """After how many seconds a file of `purpose` expires; None: never."""
    if expiry is not None:
        return expiry.seconds
    return BATCH_EXPIRY_SECONDS if purpose is Purpose.BATCH else None


def bare_filename(given: str) -> str:
    """The last part of a path; `upload` for what names no file."""
    name = re.split(r"[/\\]", given)[-1]
    return NAMELESS if name in {"", ".", ".."} else name
