"""Values as Temporal stores them: JSON that pydantic writes and reads."""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter

_CONVERTERS = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """As `PydanticPayloadConverter`, which prepares each type that it reads, but once for the process.

    The SDK makes a converter for every workflow.
    """

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)
