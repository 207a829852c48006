"""Object ids: a prefix and alphanumerics, the shape that programs match with `run_([a-zA-Z0-9]+)`.

Those of files have a dash; those of uploads and their parts begin with the time, as OpenAI's do.
"""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

ALPHABET = string.ascii_letters + string.digits
BODY_LENGTH = 24
MAX_LENGTH = 64
CHARACTERS = "[a-zA-Z0-9_-]"


class Prefix(StrEnum):
    ASSISTANT = "asst"
    THREAD = "thread"
    MESSAGE = "msg"
    RUN = "run"
    STEP = "step"
    CALL = "call"
    FILE = "file"
    UPLOAD = "upload"
    UPLOAD_PART = "part"
    VECTOR_STORE = "vs"
    FILE_BATCH = "vsfb"
    WEB_CRAWL = "crawl"
    WEB_PAGE = "page"
    SANDBOX_FILE = "sandbox"


@dataclass(frozen=True)
class BeginsWith:
    """Marks an id from a client. An id of the wrong form is refused before the database is queried."""

    prefix: str

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, core_schema.str_schema(max_length=MAX_LENGTH))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": f"^{self.prefix}{CHARACTERS}*$", "minLength": 1}

    def _check(self, value: str) -> str:
        if not value.startswith(self.prefix):
            raise PydanticCustomError("id_prefix", "does not begin with {prefix}", {"prefix": self.prefix})
        if not re.fullmatch(f"{CHARACTERS}+", value):
            raise PydanticCustomError("id_characters", "contains additional characters")
        return value


AssistantId = Annotated[str, BeginsWith(Prefix.ASSISTANT)]
ThreadId = Annotated[str, BeginsWith(Prefix.THREAD)]
MessageId = Annotated[str, BeginsWith(Prefix.MESSAGE)]
RunId = Annotated[str, BeginsWith(Prefix.RUN)]
StepId = Annotated[str, BeginsWith(Prefix.STEP)]
FileId = Annotated[str, BeginsWith(Prefix.FILE)]
UploadId = Annotated[str, BeginsWith(Prefix.UPLOAD)]
UploadPartId = Annotated[str, BeginsWith(Prefix.UPLOAD_PART)]
VectorStoreId = Annotated[str, BeginsWith(Prefix.VECTOR_STORE)]
FileBatchId = Annotated[str, BeginsWith(Prefix.FILE_BATCH)]
CrawlId = Annotated[str, BeginsWith(Prefix.WEB_CRAWL)]
AnyId = Annotated[str, BeginsWith("")]


@dataclass(frozen=True, slots=True)
class StoreFileName:
    """A file in a vector store, `vs_…/file-…` in one word: a file's id alone may be in many stores."""

    store_id: str
    file_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        store_id, _, file_id = text.partition("/")
        return cls(store_id, file_id)

    def __str__(self) -> str:
        return f"{self.store_id}/{self.file_id}"


def _store_file(value: str) -> str:
    if not re.fullmatch(f"{Prefix.VECTOR_STORE}{CHARACTERS}*/{Prefix.FILE}{CHARACTERS}*", value):
        raise PydanticCustomError("id_prefix", "does not begin with {prefix}", {"prefix": Prefix.VECTOR_STORE.value})
    return value


StoreFileCursor = Annotated[str, Field(max_length=2 * MAX_LENGTH + 1), AfterValidator(_store_file)]


def new_id(prefix: Prefix) -> str:
    """A random id."""
    return f"{prefix}_{_random_body()}"


def new_file_id() -> str:
    return f"{Prefix.FILE}-{_random_body()}"


def new_dated_id(prefix: Prefix, created_at: int) -> str:
    """32 hexadecimal digits, the first 8 of which are the time in seconds."""
    return f"{prefix}_{created_at:08x}{secrets.token_hex(12)}"


def derived_id(prefix: Prefix, *origin: str | int) -> str:
    """The same id for the same origin, so that a repeated activity writes the same rows."""
    digest = hashlib.sha256("/".join(map(str, (prefix, *origin))).encode()).digest()
    return f"{prefix}_{_body(int.from_bytes(digest))}"


def _random_body() -> str:
    # One number for all characters: a random choice of each costs a system call, and ten times the CPU.
    return _body(secrets.randbelow(len(ALPHABET) ** BODY_LENGTH))


def _body(number: int) -> str:
    characters = []
    for _ in range(BODY_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[digit])
    return "".join(characters)
