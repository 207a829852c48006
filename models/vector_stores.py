"""Vector stores, their files and file batches: the bodies that clients send and the objects that they get."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from models.chunks import DEFAULT_MAX_TOKENS, DEFAULT_OVERLAP_TOKENS
from models.documents import FileErrorCode
from models.ids import FileId
from models.metadata import ChangesMetadata
from models.wire import MAX_SAFE_INTEGER, IdentifiedObject, Metadata, RequestBody, TaggedBy, WireObject

MAX_FILES_OF_STORE = 10_000
MAX_FILES_AT_CREATION = 500
MAX_FILES_OF_BATCH = 2_000
MAX_FILE_TOKENS = 5_000_000
MAX_ATTRIBUTES = 16
MAX_ATTRIBUTE_LENGTH = 512
SECONDS_PER_DAY = 86_400
NEVER_TEXT = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tiff", ".ico", ".mp3", ".wav", ".ogg", ".flac", ".mp4", ".mov"}
    | {".avi", ".mkv", ".webm", ".zip", ".tar", ".gz", ".bz2", ".xz", ".7z", ".rar", ".exe", ".dll", ".so", ".pkl"}
)
"""Extensions that are refused at once: nobody who adds such a file can mean its text."""


class StoreFileStatus(StrEnum):
    """Of a file in a vector store. It is searchable from the moment that it is `completed`."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


def _attribute(value: object) -> object:
    if isinstance(value, str):
        if len(value) > MAX_ATTRIBUTE_LENGTH:
            raise PydanticCustomError("string_too_long", "too long", {"max_length": MAX_ATTRIBUTE_LENGTH})
    elif not isinstance(value, bool | int | float):
        raise PydanticCustomError("not_one_of", "wrong type", {"expected": "a string, number, or boolean"})
    elif abs(value) > MAX_SAFE_INTEGER:
        raise PydanticCustomError("attribute_range", "number is out of range")
    return value


Attribute = str | bool | int | float
Attributes = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[Attribute, BeforeValidator(_attribute)]],
    Field(max_length=MAX_ATTRIBUTES),
]


class StaticSizes(RequestBody):
    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0)

    @model_validator(mode="after")
    def _overlap_is_half_at_most(self) -> "StaticSizes":
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise PydanticCustomError(
                "overlap",
                "the overlap must not exceed half of 'max_chunk_size_tokens'",
                {"at": "chunk_overlap_tokens", "input": self.chunk_overlap_tokens},
            )
        return self


class AutoChunking(RequestBody):
    type: Literal["auto"]


class StaticChunking(RequestBody):
    type: Literal["static"]
    static: StaticSizes


ChunkingStrategy = Annotated[AutoChunking | StaticChunking, TaggedBy("type")]


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """In tokens."""

    maximum: int = DEFAULT_MAX_TOKENS
    overlap: int = DEFAULT_OVERLAP_TOKENS

    @classmethod
    def of(cls, strategy: AutoChunking | StaticChunking | None) -> "ChunkSizes":
        if not isinstance(strategy, StaticChunking):
            return cls()
        return cls(strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens)


class Expiry(RequestBody):
    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class CreateVectorStoreRequest(RequestBody):
    name: str | None = None
    description: str | None = None
    file_ids: Annotated[list[FileId], Field(max_length=MAX_FILES_AT_CREATION)] | None = None
    expires_after: Expiry | None = None
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Metadata | None = None


class ModifyVectorStoreRequest(ChangesMetadata):
    name: str | None = None
    expires_after: Expiry | None = None


class CreateVectorStoreFileRequest(RequestBody):
    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class ModifyVectorStoreFileRequest(RequestBody):
    attributes: Attributes | None


class CreateFileBatchRequest(RequestBody):
    """Either `file_ids`, with attributes and a strategy for all of them, or `files`, each with its own."""

    file_ids: Annotated[list[FileId], Field(min_length=1, max_length=MAX_FILES_OF_BATCH)] | None = None
    files: Annotated[list[CreateVectorStoreFileRequest], Field(min_length=1, max_length=MAX_FILES_OF_BATCH)] | None = (
        None
    )
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "CreateFileBatchRequest":
        if (self.file_ids is None) == (self.files is None):
            raise PydanticCustomError("one_of_both", "give exactly one of 'file_ids' and 'files'", {"at": "file_ids"})
        if self.files is not None:
            for name in ("attributes", "chunking_strategy"):
                if getattr(self, name) is not None:
                    raise PydanticCustomError(
                        "each_file", "with 'files' it is given for each file", {"at": name, "input": None}
                    )
        return self

    def attachments(self) -> "list[Attachment]":
        """One for each file, however often it is named; the last one counts."""
        if self.files is not None:
            named = [Attachment.of(file) for file in self.files]
        else:
            sizes = ChunkSizes.of(self.chunking_strategy)
            named = [Attachment(file_id, self.attributes, sizes) for file_id in self.file_ids or ()]
        return list({each.file_id: each for each in named}.values())


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is to be in a store. Attributes of None leave those of a file that is there already as they are."""

    file_id: str
    attributes: dict[str, Attribute] | None
    sizes: ChunkSizes

    @classmethod
    def of(cls, body: CreateVectorStoreFileRequest) -> "Attachment":
        return cls(body.file_id, body.attributes, ChunkSizes.of(body.chunking_strategy))


class FileCounts(WireObject):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class ShownExpiry(WireObject):
    anchor: Literal["last_active_at"] = "last_active_at"
    days: int


class VectorStore(IdentifiedObject):
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str | None
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"]
    expires_after: ShownExpiry | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]


class LastFileError(WireObject):
    code: FileErrorCode
    message: str


class ShownSizes(WireObject):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class ShownChunking(WireObject):
    """Always the sizes in force."""

    type: Literal["static"] = "static"
    static: ShownSizes


class VectorStoreFile(IdentifiedObject):
    """Its id is the file's."""

    object: Literal["vector_store.file"] = "vector_store.file"
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: StoreFileStatus
    last_error: LastFileError | None
    chunking_strategy: ShownChunking
    attributes: dict[str, Any]


class FileBatch(IdentifiedObject):
    # As recorded; OpenAI's schema says `vector_store.files_batch`.
    object: Literal["vector_store.file_batch"] = "vector_store.file_batch"
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: FileCounts


class TextContent(WireObject):
    type: Literal["text"] = "text"
    text: str


class FileContentPage(WireObject):
    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool = False
    next_page: str | None = None


def unsupported_extensions(filenames: Sequence[str]) -> list[str]:
    """The extensions among those of `filenames` that no store takes."""
    extensions = {PurePath(name).suffix.lower() for name in filenames}
    return sorted(extensions & NEVER_TEXT)
