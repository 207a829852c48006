"""Changes of an object's metadata: an update merges into the pairs that it has.

No source says what OpenAI did. A program that sends the whole map sees no difference; one that sends a part of it loses
nothing.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from models.errors import InvalidRequest
from models.wire import MAX_PAIRS, MetadataKey, MetadataValue, RequestBody

MAX_CHANGES = 2 * MAX_PAIRS
"""An update may remove every pair and add as many."""


class TooManyPairs(InvalidRequest):
    def __init__(self, count: int) -> None:
        super().__init__(
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_PAIRS} properties, but "
            f"with these changes it has {count} properties instead. A key that is set to null is removed.",
            "metadata",
            "object_above_max_properties",
        )


def _few_changes(value: object) -> object:
    # Checked before the pairs: each invalid pair creates an error.
    if isinstance(value, dict) and len(value) > MAX_CHANGES:
        context = {"field_type": "Dictionary", "max_length": MAX_CHANGES, "actual_length": len(value)}
        raise PydanticKnownError("too_long", context)
    return value


MetadataChanges = Annotated[dict[MetadataKey, MetadataValue | None], BeforeValidator(_few_changes)]
"""The `metadata` of an update: pairs to set, and keys to remove by null."""


class ChangesMetadata(RequestBody):
    """The part of an update that changes metadata. Absent, it changes nothing; null removes every pair."""

    metadata: MetadataChanges | None = None

    def metadata_after(self, before: Mapping[str, str]) -> dict[str, str]:
        """The metadata that the update leaves. Raises `TooManyPairs`."""
        if "metadata" not in self.model_fields_set:
            return dict(before)
        merged = {**before, **self.metadata} if self.metadata is not None else {}
        after = {key: value for key, value in merged.items() if value is not None}
        if len(after) > MAX_PAIRS:
            raise TooManyPairs(len(after))
        return after
