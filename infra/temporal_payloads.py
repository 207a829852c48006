"""Values as Temporal stores them: JSON that pydantic writes and reads."""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter

# More than there are. Each sandbox of a test has types of its own, which hold it in memory: they are forgotten in time.
MAX_TYPES = 64

_CONVERTERS = tuple(PydanticPayloadConverter(max_cached_type_adapters=MAX_TYPES).converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """As `PydanticPayloadConverter`, which prepares each type that it reads, but once for the process.

    The SDK makes a converter for every workflow.
    """

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)
