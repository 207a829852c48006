"""Objects of the object store, as its reconciler sees them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`size` is in bytes; `modified_at` by the store's clock."""

    key: str
    size: int
    modified_at: datetime
