"""Why a file of a vector store could not be made searchable."""

from enum import StrEnum


class FileErrorCode(StrEnum):
    """The codes of `last_error`, all that OpenAI's contract has."""

    SERVER_ERROR = "server_error"
    UNSUPPORTED_FILE = "unsupported_file"
    INVALID_FILE = "invalid_file"
