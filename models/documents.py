"""What is read from a file: its text, page by page, or why it is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts from 1; None where the format has no pages."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    pages: Sequence[Page]


class FileErrorCode(StrEnum):
    """The codes of `last_error`, all that OpenAI's contract has."""

    SERVER_ERROR = "server_error"
    UNSUPPORTED_FILE = "unsupported_file"
    INVALID_FILE = "invalid_file"
