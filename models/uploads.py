"""Uploads: large files that arrive in parts. The wire objects and the bodies that create and complete one."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from models.files import MAX_FILENAME_LENGTH, MEBIBYTE, File, FileExpiry, Purpose
from models.ids import UploadPartId
from models.wire import IdentifiedObject, RequestBody, absent

LIFETIME = timedelta(hours=1)
MAX_UPLOAD_BYTES = 8 * 1024 * MEBIBYTE
MAX_PART_BYTES = 64 * MEBIBYTE
"""What the SDKs cut files into."""
MAX_PARTS = 10_000

UploadPurpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]


class UploadStatus(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Upload(IdentifiedObject):
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    status: UploadStatus
    expires_at: int
    file: File | None = Field(None, exclude_if=absent)


class UploadPart(IdentifiedObject):
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str


class CreateUploadRequest(RequestBody):
    filename: Annotated[str, Field(min_length=1, max_length=MAX_FILENAME_LENGTH)]
    purpose: UploadPurpose
    bytes: Annotated[int, Field(ge=0, le=MAX_UPLOAD_BYTES)]
    mime_type: Annotated[str, Field(max_length=256)]
    expires_after: FileExpiry | None = None


class CompleteUploadRequest(RequestBody):
    part_ids: Annotated[list[UploadPartId], Field(max_length=MAX_PARTS)]
    md5: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$")] | None = None
