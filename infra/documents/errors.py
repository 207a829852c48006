"""Why no text can be read from a file. Reading it again gives the same error; the texts are for its owner.

DocumentUnreadable
├── UnsupportedFile   a format that is not read
├── InvalidFile       damaged, encrypted, or not what its name says
├── DocumentTooLarge  more memory, time or text than a document may take
└── NoTextFound       read, but without a single character
"""

from models.documents import FileErrorCode


class DocumentUnreadable(Exception):
    code = FileErrorCode.INVALID_FILE


class UnsupportedFile(DocumentUnreadable):
    code = FileErrorCode.UNSUPPORTED_FILE

    @classmethod
    def with_extension(cls, extension: str) -> "UnsupportedFile":
        return cls(f"Files with the extension {extension} are not supported.")

    @classmethod
    def without_extra(cls, extension: str, extra: str) -> "UnsupportedFile":
        return cls(
            f"Files with the extension {extension} are not supported by this server: save it in a newer format, or ask "
            f"its operator to install holdfast[{extra}]."
        )

    @classmethod
    def binary(cls) -> "UnsupportedFile":
        return cls("The file is neither text nor a document of a supported format.")


class InvalidFile(DocumentUnreadable):
    @classmethod
    def damaged(cls) -> "InvalidFile":
        return cls("The file could not be read: it is damaged, or not of the format that its name says.")

    @classmethod
    def encrypted(cls) -> "InvalidFile":
        return cls("The file could not be read: it is encrypted with a password.")


class DocumentTooLarge(DocumentUnreadable):
    @classmethod
    def because(cls, reason: str) -> "DocumentTooLarge":
        return cls(f"The file is too large to be read: {reason}.")


class NoTextFound(DocumentUnreadable):
    def __init__(self) -> None:
        super().__init__("The file could not be read: no text found.")
