"""Objects of the object store, as its reconciler sees them, and the keys of those that rows own."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`size` is in bytes; `modified_at` by the store's clock."""

    key: str
    size: int
    modified_at: datetime


class KeyPrefix(StrEnum):
    """What the objects of one kind are under. Keys of any other kind are not the reconciler's."""

    FILE = "files"
    UPLOAD_PART = "upload-parts"
    SANDBOX_FILE = "sandbox-files"


def object_key(prefix: KeyPrefix, object_id: str) -> str:
    """The key of the bytes of a file or an upload's part. Its last characters shard it: an id may begin with a time."""
    return f"{prefix}/{object_id[-2:].lower()}/{object_id}"


def id_of(prefix: KeyPrefix, key: str) -> str | None:
    """The id that `object_key` made `key` of; None for any other key."""
    object_id = key.rpartition("/")[2]
    return object_id if key == object_key(prefix, object_id) else None
